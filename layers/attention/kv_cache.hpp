// Keys and values of the earlier tokens of one sequence in one layer, for generation. Keys are kept as the branches
// take them: their angles never change. Where angles change with the length of the text, or a token's position with
// what is dropped before it, keys are kept raw, and all are turned for each new token: the position of a key or query
// is then its row.
//
// With a window, the first `sinks` and the last `window` tokens are kept. When all rows are in use, the oldest of the
// latter goes before the next token comes, and those behind it move up by one: so attention is given consecutive keys,
// for a copy of what it reads anyway. Nothing is lost by it, in models of any depth: a token's keys and values are made
// of what it saw itself, and no later token sees what is dropped.
//
// Source   spec/positions.md 1.9, 4.1, 4.3, 4.4; Xiao et al. 2023, arXiv 2309.17453, with eviction before the append.
#pragma once
#include <algorithm>

#include "core/ctx.hpp"

namespace rw {

struct KvCache {
  View k, v;   // [capacity, G·d]
  View k_far;  // the same, with a far branch and keys that are not raw; else empty
  bool raw = false;
  int64_t window = 0, sinks = 0;  // window 0: nothing is dropped; else capacity = sinks + window
  int64_t length = 0;             // rows in use
  int64_t prepared = 0;           // the length of text whose angles the keys have, where they depend on it

  int64_t capacity() const { return k.rows(); }
  // Rows that the next token finds in use.
  int64_t kept() const { return window > 0 ? std::min(length, capacity() - 1) : length; }
  // Drops the oldest token that may be dropped if all rows are in use.
  void make_room(Ctx&);

  // k, v or k_far with the next tokens behind it: in the cache where they fit, else in ctx.scratch.
  class Joined {
   public:
    // fresh [..., G·d]. rw::Error if they do not fit a cache without a window.
    Joined(Ctx&, const KvCache&, View kept, CView fresh);
    CView view() const { return reshape(all_, {1, all_.rows(), all_.width()}); }
    // Stores what the cache keeps of it, to be called once attention is done.
    void keep(const Ctx&, const KvCache&) const;

   private:
    View kept_, all_;
  };
};

}  // namespace rw
