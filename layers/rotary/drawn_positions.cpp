#include "layers/rotary/drawn_positions.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/check.hpp"

namespace rw {
namespace {

class Draws {
 public:
  explicit Draws(const DrawKey& key) : key_(key) {}
  // Exponentially distributed, at most 36.8 times the mean.
  double exponential(double mean) {
    const PhiloxCounter w = next();
    return -mean * std::log(uniform(w[0], w[1]));
  }
  // Uniform in 0 .. count - 1, with a bias below count / 2^64.
  int64_t below(int64_t count) {
    const PhiloxCounter w = next();
    const uint64_t word = uint64_t{w[0]} << 32 | w[1];
    return static_cast<int64_t>(static_cast<unsigned __int128>(word) * static_cast<uint64_t>(count) >> 64);
  }

 private:
  PhiloxCounter next() {
    return philox({index_++, key_.sample, key_.step, name_word("positions")}, philox_key(key_.seed));
  }

  DrawKey key_;
  uint32_t index_ = 0;
};

}  // namespace

void draw_positions(std::span<int32_t> positions, PositionDraw kind, int64_t range, const DrawKey& key) {
  const auto length = static_cast<int64_t>(positions.size());
  RW_CHECK(length >= 1 && range >= length && range < int64_t{1} << 31, length, range);
  RW_CHECK(kind != PositionDraw::equal_mean);
  std::iota(positions.begin(), positions.end(), 0);
  Draws draws(key);
  if (kind == PositionDraw::pose) {
    const int64_t first = 1 + draws.below((length + 1) / 2), skip = draws.below(range - length + 1);
    for (int64_t t = first; t < length; ++t) positions[static_cast<size_t>(t)] += static_cast<int32_t>(skip);
  } else if (kind == PositionDraw::random) {  // Floyd's subset: every one is equally likely
    std::vector<bool> taken(static_cast<size_t>(range));
    for (int64_t top = range - length; top < range; ++top) {
      const int64_t drawn = draws.below(top + 1);
      taken[static_cast<size_t>(taken[static_cast<size_t>(drawn)] ? top : drawn)] = true;
    }
    size_t next = 0;
    for (int64_t p = 0; p < range; ++p)
      if (taken[static_cast<size_t>(p)]) positions[next++] = static_cast<int32_t>(p);
  }
}

void draw_equal_mean(std::span<double> positions, const DrawKey& key) {
  RW_CHECK(!positions.empty());
  const auto length = static_cast<double>(positions.size());
  const double step = Draws(key).exponential(length) / std::max(length - 1, 1.0);
  for (size_t t = 0; t < positions.size(); ++t) positions[t] = static_cast<double>(t) * step;
}

}  // namespace rw
