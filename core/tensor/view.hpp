// A view is a copyable, non-owning tensor: rows of contiguous elements, with one stride between rows. So q, k and v
// can be column slices of one product, and an op sees every tensor as a matrix [rows, width].
#pragma once
#include <array>
#include <initializer_list>

#include "core/tensor/dtype.hpp"

namespace rw {

struct Device {
  enum Kind : uint8_t { cpu, cuda } kind = cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

struct Shape {
  std::array<int64_t, 4> dim{};
  int rank = 0;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    RW_CHECK(dims.size() <= 4);
    for (int64_t d : dims) dim[static_cast<size_t>(rank++)] = d;
  }
  int64_t elements() const { return rank == 0 ? 0 : rows() * width(); }
  int64_t width() const { return rank == 0 ? 0 : dim[static_cast<size_t>(rank - 1)]; }  // the last dimension
  int64_t rows() const {                                                                // the product of the others
    int64_t product = 1;
    for (int i = 0; i + 1 < rank; ++i) product *= dim[static_cast<size_t>(i)];
    return product;
  }
  bool operator==(const Shape&) const = default;
};

// What kernels index: m[row][column].
template <class T>
struct Rows {
  T* data;
  int64_t stride;
  constexpr T* operator[](int64_t row) const { return data + row * stride; }
};

template <class Byte>
struct BasicView {
  Byte* data = nullptr;
  Shape shape;
  DType dtype = DType::f32;
  Device device;
  int64_t row_stride = 0;  // in elements, at least the width

  int64_t rows() const { return shape.rows(); }
  int64_t width() const { return shape.width(); }
  bool empty() const { return data == nullptr; }  // not given: an optional argument
  template <class T>
  auto as() const {  // an empty view is a null of any type
    using Element = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    RW_CHECK(!data || dtype == DTypeOf<T>::value, dtype);
    return Rows<Element>{reinterpret_cast<Element*>(data), row_stride};
  }
  template <class C>
  requires std::is_same_v<C, const Byte>
  operator BasicView<C>() const {  // a View is a CView
    return {data, shape, dtype, device, row_stride};
  }
};
using View = BasicView<std::byte>;
using CView = BasicView<const std::byte>;

// Parts of a view, as views of the same memory.
template <class Byte>
BasicView<Byte> columns(BasicView<Byte> v, int64_t first, int64_t count) {  // v[..., first : first + count]
  RW_CHECK(v.shape.rank > 0 && first >= 0 && count >= 0 && first + count <= v.width(), v, first, count);
  v.data += first * static_cast<int64_t>(size_of(v.dtype));
  v.shape.dim[static_cast<size_t>(v.shape.rank - 1)] = count;
  return v;
}
template <class Byte>
BasicView<Byte> rows(BasicView<Byte> v, int64_t first, int64_t count) {  // as a matrix: v[first : first + count, :]
  RW_CHECK(first >= 0 && count >= 0 && first + count <= v.rows(), v, first, count);
  v.data += first * v.row_stride * static_cast<int64_t>(size_of(v.dtype));
  v.shape = {count, v.width()};
  return v;
}
template <class Byte>
BasicView<Byte> reshape(BasicView<Byte> v, Shape shape) {  // other dimensions, the same elements in the same order
  RW_CHECK(shape.rows() * shape.width() == v.rows() * v.width(), v, shape);
  RW_CHECK(shape.width() == v.width() || v.row_stride == v.width(), v, shape);
  if (shape.width() != v.width()) v.row_stride = shape.width();
  v.shape = shape;
  return v;
}

inline bool same(CView a, CView b) { return a.data == b.data && a.shape == b.shape && a.row_stride == b.row_stride; }

// No byte belongs to both (an empty view has none). Column slices of one wider tensor are disjoint although their
// address ranges overlap.
inline bool disjoint(CView a, CView b) {
  if (a.empty() || b.empty()) return true;
  const auto begin = [](CView v) { return reinterpret_cast<intptr_t>(v.data); };
  const auto bytes = [](CView v, int64_t elements) { return elements * static_cast<int64_t>(size_of(v.dtype)); };
  const auto end = [&](CView v) { return begin(v) + bytes(v, (v.rows() - 1) * v.row_stride + v.width()); };
  if (end(a) <= begin(b) || end(b) <= begin(a)) return true;
  const int64_t stride = bytes(a, a.row_stride);
  if (stride != bytes(b, b.row_stride)) return false;
  const int64_t offset = ((begin(b) - begin(a)) % stride + stride) % stride;
  return bytes(a, a.width()) <= offset && offset + bytes(b, b.width()) <= stride;
}

template <class... V>
bool disjoint_from_all(CView a, const V&... others) {
  return (disjoint(a, others) && ...);
}

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank; ++i) out << (i ? ", " : "") << shape.dim[static_cast<size_t>(i)];
  return out << ']';
}
template <class Byte>
std::ostream& operator<<(std::ostream& out, const BasicView<Byte>& v) {
  out << v.dtype << ' ' << v.shape;
  if (v.row_stride != v.width()) out << " stride " << v.row_stride;
  return out << (v.device.kind == Device::cuda ? " on cuda" : "");
}

}  // namespace rw
