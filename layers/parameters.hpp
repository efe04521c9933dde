// Storage of a layer's parameters: flat buffers of values, of gradients and of optimizer moments, all laid out alike,
// in the order of `each`.
#pragma once
#include "core/base/parallel.hpp"
#include "core/base/philox.hpp"
#include "core/ctx.hpp"

namespace rw {

// Where a parameter lies in every flat buffer.
struct ParamRange {
  int64_t offset, count;  // elements
  bool decay;
};

// The ranges of all parameters of `layer`, one after the other, and the length of a flat buffer. Ranges start at
// multiples of kRangeAlign elements; the gaps between them stay zero.
struct ParamLayout {
  std::vector<ParamRange> ranges;
  int64_t elements = 0;
};

inline constexpr int64_t kRangeAlign = 64;

template <class L>
ParamLayout lay_out_parameters(L& layer) {
  ParamLayout layout;
  layer.each([&](const Param& param) {
    const int64_t count = param.shape.elements();
    layout.ranges.push_back({layout.elements, count, param.decay});
    layout.elements += (count + kRangeAlign - 1) / kRangeAlign * kRangeAlign;
  });
  return layout;
}

// The part of a flat buffer that is `range`, as a tensor.
template <class Byte>
BasicView<Byte> range_of(BasicView<Byte> flat, const ParamRange& range, Shape shape) {
  flat = rows(reshape(flat, {flat.rows() * flat.width(), 1}), range.offset, range.count);
  return reshape(flat, shape);
}

// Gives every parameter its place in the flat buffers. An empty grad: no gradients (inference).
template <class L>
void bind_parameters(L& layer, View value, View grad) {
  const ParamLayout layout = lay_out_parameters(layer);
  RW_CHECK(value.shape.elements() == layout.elements, value, layout.elements);
  RW_CHECK(grad.empty() || (grad.shape == value.shape && grad.dtype == accumulator(value.dtype)), grad, value);
  size_t next = 0;
  layer.each([&](Param& param) {
    const ParamRange& range = layout.ranges[next++];
    param.value = range_of(value, range, param.shape);
    if (!grad.empty()) param.grad = range_of(grad, range, param.shape);
  });
}

// Draws every parameter: normal with standard deviation init_std, or init_fill everywhere. Element i of the part called
// `name` comes from the counter {i / 4 (64 bits), name_word(name), 0}, so a tensor's draw does not depend on which
// others exist, on how projections are joined, or on the dtype.
template <class L>
void initialise_parameters(L& layer, uint64_t seed) {
  layer.each([&](Param& param) {
    visit_dtype<double, float>(param.value.dtype, [&]<class T>() {
      T* out = param.value.as<T>().data;
      const int64_t width = param.shape.rank > 1 ? param.shape.elements() / param.shape.dim[0] : 1;
      for (const Param::Part& part : param.parts) {
        const int64_t count = part.rows * width;
        constexpr int64_t kBlock = 8192;
        parallel_for((count + kBlock - 1) / kBlock, [&](int64_t block) {
          const int64_t end = std::min(count, (block + 1) * kBlock);
          for (int64_t i = block * kBlock; i < end; i += 4) {
            std::array<float, 4> draw{};
            if (param.init_std > 0)
              draw = four_normals(
                  {static_cast<uint32_t>(i / 4), static_cast<uint32_t>(i / 4 >> 32), name_word(part.name), 0},
                  philox_key(seed));
            for (int64_t j = i; j < std::min(i + 4, end); ++j)
              out[j] = static_cast<T>(param.init_fill + param.init_std * draw[static_cast<size_t>(j - i)]);
          }
        });
        out += count;
      }
    });
  });
}

}  // namespace rw
