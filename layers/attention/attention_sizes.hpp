#pragma once
#include "layers/attention/attention.hpp"

namespace rw {

// What the shapes of an attention call mean.
struct AttentionSizes {
  AttentionSizes(CView q, CView k, CView v, const AttentionOpt& opt)
      : batch(q.shape.dim[0]),
        queries(q.shape.dim[1]),
        keys(k.shape.dim[1]),
        width(opt.head_width),
        groups(k.width() / width),
        heads(q.width() / width),
        value_width(v.width() / groups) {}

  int64_t prefix() const { return keys - queries; }
  int64_t heads_per_group() const { return heads / groups; }

  int64_t batch;        // B
  int64_t queries;      // Tq
  int64_t keys;         // Tk
  int64_t width;        // d
  int64_t groups;       // G
  int64_t heads;        // H
  int64_t value_width;  // e
};

// The first key that query i of sample b sees; the last one is i + prefix.
inline int64_t first_visible(const AttentionSizes& sizes, const int32_t* first_key, int64_t b, int64_t i) {
  return first_key ? first_key[b * sizes.keys + i + sizes.prefix()] : 0;
}

}  // namespace rw
