#include "data/tokenizer/byte_pairs.hpp"

#include <algorithm>

namespace rw {

namespace {

constexpr int32_t kGone = -1;  // merged into the symbol on its left

uint64_t key_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// A merge that was possible when it was found.
struct Candidate {
  uint32_t rank;
  uint32_t at;  // of the left symbol
  int32_t left, right, merged;
  bool operator<(const Candidate& other) const {  // std heaps have the greatest on top
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

}  // namespace

void BytePairs::add(int32_t left, int32_t right, int32_t merged) {
  rules_.insert_or_assign(key_of(left, right), Rule{ranks_++, merged});
}

const BytePairs::Rule* BytePairs::rule(int32_t left, int32_t right) const {
  const auto found = rules_.find(key_of(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

void BytePairs::merge(std::vector<int32_t>& symbols) const {
  const auto n = static_cast<uint32_t>(symbols.size());
  thread_local std::vector<Candidate> heap;
  thread_local std::vector<uint32_t> next, previous;  // neighbours; n: none
  heap.clear();
  next.resize(n + 1);
  previous.resize(n + 1);
  const auto offer = [&](uint32_t left, uint32_t right) {
    if (const Rule* found = rule(symbols[left], symbols[right]))
      heap.push_back({found->rank, left, symbols[left], symbols[right], found->merged});
  };
  for (uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1;
    previous[i] = i == 0 ? n : i - 1;
    if (i + 1 < n) offer(i, i + 1);
  }
  std::make_heap(heap.begin(), heap.end());
  const auto push = [&](uint32_t left, uint32_t right) {
    const size_t before = heap.size();
    offer(left, right);
    if (heap.size() > before) std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate best = heap.back();
    heap.pop_back();
    const uint32_t right = next[best.at];
    if (right == n || symbols[best.at] != best.left || symbols[right] != best.right) continue;
    symbols[best.at] = best.merged;
    symbols[right] = kGone;
    next[best.at] = next[right];
    if (next[right] != n) previous[next[right]] = best.at;
    if (previous[best.at] != n) push(previous[best.at], best.at);
    if (next[best.at] != n) push(best.at, next[best.at]);
  }
  std::erase(symbols, kGone);
}

}  // namespace rw
