#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/tensor/view.hpp"
#include "tests/support/bits.hpp"
#include "tests/support/gpu.hpp"

namespace rw::test {

// What a tensor for tests is made of and for. A Backend is one too.
struct Where {
  Where(DType dtype_, Device device_ = {}) : dtype(dtype_), device(device_) {}
  Where in_accumulator() const { return {accumulator(dtype), device}; }  // for statistics and parameter gradients
  DType dtype;
  Device device;
};

// A tensor for tests, in memory that the host and the device reach. Its elements start as NaN, so that one that is
// never written shows. Before it, after it and between its rows lie sentinels, which are another NaN: a write to them
// is found, a read of them poisons.
class Tensor {
 public:
  Tensor(Shape shape, Where where, int64_t gap = 0)  // gap: elements between rows
      : Tensor(shape, where.dtype, where.device, shape.width() + gap, size_of(where.dtype)) {
    fill(std::vector<double>(size(), std::numeric_limits<double>::quiet_NaN()));
  }
  ~Tensor() {
    if (view_.device.kind == Device::cuda) Bits::note({memory(), in_host_.size()});
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  View view() const { return view_; }
  template <class T>
  Rows<T> as() const {
    wait();
    return view_.as<T>();
  }
  operator View() const { return view_; }
  operator CView() const { return view_; }
  size_t size() const { return static_cast<size_t>(view_.rows() * view_.width()); }

  void fill(const std::vector<double>& values) {  // rounds to the dtype
    visit([&, i = size_t{0}](auto& element) mutable { element = round(element, values.at(i++)); });
  }
  std::vector<double> values() const {
    std::vector<double> out;
    visit([&](auto& element) {
      if constexpr (std::is_same_v<decltype(element), bf16&>)
        out.push_back(static_cast<float>(element));
      else
        out.push_back(element);
    });
    return out;
  }
  const std::vector<std::byte>& bytes() const {  // sentinels and all
    wait();
    if (pinned_) in_host_.assign(memory(), memory() + in_host_.size());
    return in_host_;
  }
  bool sentinels_intact() const {
    std::vector<std::byte> rest = bytes();
    for (int64_t r = 0; r < view_.rows(); ++r) std::memset(rest.data() + row_begin(r), kSentinel, row_bytes());
    return rest == std::vector<std::byte>(rest.size(), std::byte{kSentinel});
  }

 private:
  static constexpr size_t kGuard = 64;  // bytes on either side
  static constexpr unsigned char kSentinel = 0xff;

  Tensor(Shape shape, DType dtype, Device device, int64_t stride, size_t element)
      : in_host_(2 * kGuard + static_cast<size_t>(shape.rows() * stride) * element, std::byte{kSentinel}),
        pinned_(device.kind == Device::cuda && on_gpu() ? allocate_pinned(in_host_.size()) : nullptr),
        view_{memory() + kGuard, shape, dtype, device, stride} {
    if (pinned_) std::memset(pinned_.get(), kSentinel, in_host_.size());
  }

  std::byte* memory() const { return pinned_ ? pinned_.get() : in_host_.data(); }
  void wait() const {  // for what a GPU still does with it
    if (pinned_) cuda::synchronize(view_.device.index, nullptr);
  }
  size_t row_begin(int64_t r) const {
    return kGuard + static_cast<size_t>(r * view_.row_stride) * size_of(view_.dtype);
  }
  size_t row_bytes() const { return static_cast<size_t>(view_.width()) * size_of(view_.dtype); }
  static double round(double, double v) { return v; }
  static float round(float, double v) { return static_cast<float>(v); }
  static bf16 round(bf16, double v) { return bf16(static_cast<float>(v)); }
  static int32_t round(int32_t, double v) { return std::isnan(v) ? 0 : static_cast<int32_t>(v); }
  template <class F>
  void visit(F&& f) const {
    wait();
    visit_dtype<double, float, bf16, int32_t>(view_.dtype, [&]<class T>() {
      for (int64_t r = 0; r < view_.rows(); ++r)
        for (int64_t c = 0; c < view_.width(); ++c) f(view_.as<T>()[r][c]);
    });
  }

  mutable std::vector<std::byte> in_host_;  // or a copy of
  Pinned pinned_;                           // what is on a GPU
  View view_;
};

inline void copy(View to, CView from) {
  for (int64_t r = 0; r < from.rows(); ++r)
    std::memcpy(rows(to, r, 1).data, rows(from, r, 1).data, static_cast<size_t>(from.width()) * size_of(from.dtype));
}

inline bool same_bits(CView a, CView b) {
  bool same = a.rows() == b.rows() && a.width() == b.width() && a.dtype == b.dtype;
  for (int64_t r = 0; same && r < a.rows(); ++r)
    same = std::memcmp(rows(a, r, 1).data, rows(b, r, 1).data, static_cast<size_t>(a.width()) * size_of(a.dtype)) == 0;
  return same;
}

inline std::vector<double> normal(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> distribution;
  std::vector<double> values(n);
  for (double& v : values) v = distribution(generator);
  return values;
}

}  // namespace rw::test
