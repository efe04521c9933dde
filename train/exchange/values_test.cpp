#include "train/exchange/values.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

namespace rw::test {
namespace {

std::vector<float> decoded(ValueType type, const std::vector<uint8_t>& bytes, size_t count) {
  std::vector<float> out(count);
  decode(type, std::as_bytes(std::span(bytes)), out);
  return out;
}

uint16_t half_of(float value) {
  uint16_t bits = 0;
  encode(ValueType::f16, std::span(&value, 1), std::as_writable_bytes(std::span(&bits, 1)));
  return bits;
}
float float_of(uint16_t bits) {
  float value = 0;
  decode(ValueType::f16, std::as_bytes(std::span(&bits, 1)), std::span(&value, 1));
  return value;
}

// From the definition: (-1)^s · 2^(e - 15) · 1.f, 2^-14 · 0.f below.
double half_by_definition(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

TEST(Values, EveryHalfIsItsDefinition) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = float_of(half);
    if ((half >> 10 & 31) == 31) {
      EXPECT_EQ(std::isnan(value), (half & 1023) != 0) << bits;
      EXPECT_EQ(std::signbit(value), half >> 15 != 0) << bits;
    } else {
      EXPECT_EQ(value, half_by_definition(half)) << bits;
      EXPECT_EQ(std::signbit(value), half >> 15 != 0) << bits;
    }
    if (!std::isnan(value)) {
      EXPECT_EQ(half_of(value), half);
    }
  }
}

TEST(Values, HalvesAreTheNearest) {
  std::mt19937 random(3);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(0x32000000u + random() % 0x16000000u));  // to 131072
    const uint16_t got = half_of(value);
    if (value >= 65520) {
      EXPECT_EQ(got, 0x7C00);
      continue;
    }
    const double error = std::abs(half_by_definition(got) - static_cast<double>(value));
    for (int step : {-1, 1}) {
      const auto other = static_cast<uint16_t>(std::max(0, got + step));
      if (other >= 0x7C00) continue;
      const double other_error = std::abs(half_by_definition(other) - static_cast<double>(value));
      EXPECT_LE(error, other_error) << value;
      if (error == other_error && other != got) {
        EXPECT_EQ(got & 1, 0) << value;  // ties to even
      }
    }
  }
  EXPECT_TRUE(std::isnan(float_of(half_of(std::nanf("")))));
  EXPECT_EQ(half_of(-INFINITY), 0xFC00);
}

TEST(Values, BlocksAreTheirDefinition) {
  std::vector<uint8_t> q8 = {0x00, 0x38};                           // 0.5
  std::vector<uint8_t> q4_0 = q8, q4_1 = {0x00, 0x38, 0x00, 0xBC};  // and minimum -1
  for (uint8_t i = 0; i < 32; ++i) q8.push_back(static_cast<uint8_t>(i * 8 - 128));
  for (uint8_t i = 0; i < 16; ++i) {
    q4_0.push_back(static_cast<uint8_t>(i | (15 - i) << 4));
    q4_1.push_back(static_cast<uint8_t>(i | (15 - i) << 4));
  }
  const auto a = decoded(ValueType::q8_0, q8, 32), b = decoded(ValueType::q4_0, q4_0, 32),
             c = decoded(ValueType::q4_1, q4_1, 32);
  for (size_t i = 0; i < 32; ++i) {
    const auto k = static_cast<float>(i), q = i < 16 ? k : 31 - k;
    EXPECT_EQ(a[i], 0.5f * (k * 8 - 128)) << i;
    EXPECT_EQ(b[i], 0.5f * (q - 8)) << i;
    EXPECT_EQ(c[i], 0.5f * q - 1) << i;
  }
}

TEST(Values, Q8IsWithinHalfAStep) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> values(320), back(320);
  for (float& v : values) v = normal(random);
  std::fill_n(values.begin(), 32, 0.0f);
  std::vector<std::byte> bytes(bytes_of(ValueType::q8_0, values.size()));
  encode(ValueType::q8_0, values, bytes);
  decode(ValueType::q8_0, bytes, back);
  for (size_t block = 0; block < 10; ++block) {
    float largest = 0;
    for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(values[block * 32 + i]));
    for (size_t i = block * 32; i < block * 32 + 32; ++i)
      EXPECT_LE(std::abs(back[i] - values[i]), largest * (0.5f / 127 + 1.0f / 2048)) << i;
  }
}

TEST(Values, NamesAndSizes) {
  EXPECT_EQ(value_type("q4_1"), ValueType::q4_1);
  EXPECT_EQ(value_type("q5_0"), std::nullopt);
  EXPECT_STREQ(name_of(ValueType::bf16), "bf16");
  EXPECT_EQ(bytes_of(ValueType::q4_0, 64), 36u);
  EXPECT_EQ(bytes_of(ValueType::q8_0, 64), 68u);
  EXPECT_EQ(bytes_of(ValueType::q4_1, 64), 40u);
  EXPECT_EQ(bytes_of(ValueType::bf16, 3), 6u);
}

}  // namespace
}  // namespace rw::test
