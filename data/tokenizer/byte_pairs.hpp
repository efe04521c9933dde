// Merging of byte pairs: of all neighbours that a rule merges, those of the lowest rank go first, the leftmost of
// equals.
#pragma once
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace rw {

class BytePairs {
 public:
  // Rules in the order of their ranks; of two for the same pair the later one holds.
  void add(int32_t left, int32_t right, int32_t merged);
  size_t size() const { return rules_.size(); }

  // In n log n steps for n symbols.
  void merge(std::vector<int32_t>& symbols) const;

 private:
  struct Rule {
    uint32_t rank;
    int32_t merged;
  };
  const Rule* rule(int32_t left, int32_t right) const;

  uint32_t ranks_ = 0;
  std::unordered_map<uint64_t, Rule> rules_;
};

}  // namespace rw
