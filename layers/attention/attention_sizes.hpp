#pragma once
#include <algorithm>

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

inline constexpr int64_t kMostWidthOnGpu = 256;  // d and e

// Which keys queries see, and by which branch. A query is named by its index among the keys, i'. On a device, too.
struct AttentionSight {
  AttentionSight(int64_t keys_, const AttentionOpt& opt)
      : keys(keys_),
        first_key(opt.first_key.as<int32_t>().data),
        near(opt.q_far.empty() ? keys : std::min(opt.near, keys)),
        window(opt.window > 0 ? std::min(opt.window, keys) : keys),
        sinks(opt.window > 0 ? std::min(opt.sinks, keys) : 0) {}

  // Query i' of sample b sees the keys from first() on that are at or after local(), or before sink_end(), up to i';
  // those from near_begin() on are near.
  constexpr int64_t first(int64_t b, int64_t i) const { return first_key ? first_key[b * keys + i] : 0; }
  constexpr int64_t local(int64_t b, int64_t i) const { return std::max(first(b, i), i - window + 1); }
  constexpr int64_t sink_end(int64_t b, int64_t i) const { return std::min(first(b, i) + sinks, local(b, i)); }
  constexpr int64_t near_begin(int64_t i) const { return i - near + 1; }
  constexpr bool is_near(int64_t i, int64_t j) const { return j >= near_begin(i); }

  // The other way round: key j is in the window of queries before local_end(), near to those before near_end(), and
  // no earlier than the document of those before document_end().
  constexpr int64_t local_end(int64_t j) const { return j + window; }
  constexpr int64_t near_end(int64_t j) const { return j + near; }
  constexpr int64_t document_end(int64_t b, int64_t j) const {
    int64_t begin = 0, end = keys;
    while (begin < end) {
      const int64_t middle = (begin + end) / 2;
      if (first(b, middle) <= j)
        begin = middle + 1;
      else
        end = middle;
    }
    return begin;
  }

  int64_t keys;
  const int32_t* first_key;
  int64_t near, window, sinks;
};

}  // namespace rw
