// Philox4x32-10, a counter-based generator: the same key and counter give the same four words on every device, in
// every order, so no state is ever saved.
// Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace rw {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

constexpr PhiloxKey philox_key(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

constexpr PhiloxCounter philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c[0], b = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

// In (0, 1], from 32 or from 53 random bits.
constexpr float uniform(uint32_t word) { return (static_cast<float>(word >> 8) + 1.0f) * 0x1p-24f; }
constexpr double uniform(uint32_t high, uint32_t low) {
  return (static_cast<double>((uint64_t{high} << 32 | low) >> 11) + 1.0) * 0x1p-53;
}

// Four independent standard normals from one counter (Box and Muller), in f32: at most 5.8 from zero.
inline std::array<float, 4> four_normals(PhiloxCounter counter, PhiloxKey key) {
  const PhiloxCounter w = philox(counter, key);
  const auto pair = [](uint32_t a, uint32_t b) {
    const float radius = std::sqrt(-2 * std::log(uniform(a))), angle = 2 * std::numbers::pi_v<float> * uniform(b);
    return std::array{radius * std::cos(angle), radius * std::sin(angle)};
  };
  const auto p = pair(w[0], w[1]), q = pair(w[2], w[3]);
  return {p[0], p[1], q[0], q[1]};
}

// A name as a counter word, so that draws for one tensor do not depend on which others exist (FNV-1a, 32 bits).
constexpr uint32_t name_word(std::string_view name) {
  uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

// Where a draw inside a training step stands. Words of the counter: element / 4, sample, step, site. `sample` counts
// within the whole optimizer step, over micro-batches and ranks, so that how a step is cut changes no draw.
struct DrawKey {
  uint64_t seed = 0;
  uint32_t step = 0;
  uint32_t sample = 0;  // of the first row of the batch
  uint32_t site = 0;    // one number for each place in the model
};

}  // namespace rw
