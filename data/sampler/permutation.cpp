#include "data/sampler/permutation.hpp"

#include <bit>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/philox.hpp"

namespace rw {

namespace {

constexpr uint32_t kRounds = 8;  // four show a bias on tens of elements

}  // namespace

Permutation::Permutation(uint64_t n, uint64_t seed, uint32_t site, uint64_t key)
    : n_(n), seed_(seed), key_(key), site_(site), half_bits_(static_cast<int>(std::bit_width(n - 1) + 1) / 2) {
  RW_CHECK(n > 0 && n <= uint64_t{1} << 62, n);
}

uint64_t Permutation::operator()(uint64_t i) const {
  RW_CHECK(i < n_, i, n_);
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  do {
    uint64_t left = i >> half_bits_, right = i & mask;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const PhiloxCounter counter = {static_cast<uint32_t>(right), static_cast<uint32_t>(key_),
                                     static_cast<uint32_t>(key_ >> 32), site_ + round};
      const PhiloxCounter random = philox(counter, philox_key(seed_));
      left ^= random[0] & mask;
      std::swap(left, right);
    }
    i = left << half_bits_ | right;
  } while (i >= n_);
  return i;
}

}  // namespace rw
