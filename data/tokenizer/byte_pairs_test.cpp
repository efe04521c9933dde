#include "data/tokenizer/byte_pairs.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace rw {
namespace {

using Rules = std::map<std::pair<int32_t, int32_t>, std::pair<size_t, int32_t>>;  // rank, merged

// The definition, step by step.
std::vector<int32_t> merged_plainly(std::vector<int32_t> symbols, const Rules& rules) {
  for (;;) {
    size_t best = symbols.size(), rank = SIZE_MAX;
    for (size_t i = 0; i + 1 < symbols.size(); ++i)
      if (const auto rule = rules.find({symbols[i], symbols[i + 1]}); rule != rules.end() && rule->second.first < rank)
        best = i, rank = rule->second.first;
    if (best == symbols.size()) return symbols;
    symbols[best] = rules.at({symbols[best], symbols[best + 1]}).second;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(BytePairs, MergeAsTheDefinitionSays) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    BytePairs pairs;
    Rules rules;
    for (int32_t merged = 3; merged < 40; ++merged) {
      const auto left = static_cast<int32_t>(random() % static_cast<unsigned>(merged));
      const auto right = static_cast<int32_t>(random() % static_cast<unsigned>(merged));
      pairs.add(left, right, merged);
      rules[{left, right}] = {static_cast<size_t>(merged), merged};
    }
    EXPECT_EQ(pairs.size(), rules.size());
    std::vector<int32_t> symbols(random() % 60);
    for (int32_t& symbol : symbols) symbol = static_cast<int32_t>(random() % 3);
    std::vector<int32_t> got = symbols;
    pairs.merge(got);
    EXPECT_EQ(got, merged_plainly(symbols, rules));
  }
}

}  // namespace
}  // namespace rw
