// A random order of 0 ... n - 1 that needs no memory: eight Feistel rounds over philox on the smallest even number of
// bits that holds n, walked along its cycle until the value is below n (at most four steps on average).
// Source: Black and Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002.
#pragma once
#include <cstdint>

namespace rw {

class Permutation {
 public:
  // `key` and `site` choose the order; 0 < n ≤ 2^62.
  Permutation(uint64_t n, uint64_t seed, uint32_t site, uint64_t key);
  uint64_t operator()(uint64_t i) const;  // i < n

 private:
  uint64_t n_, seed_, key_;
  uint32_t site_;
  int half_bits_;
};

}  // namespace rw
