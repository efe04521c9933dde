// Writes one container with every type of tensor for container_peer.py, which knows what is in it:
//   write_container FILE
#include <algorithm>
#include <numeric>

#include "core/file/container.hpp"
#include "core/tensor/dtype.hpp"

namespace {

constexpr size_t kRows = 3, kColumns = 5;

// Element i is scale * (i - 7).
template <class T>
std::vector<T> ramp(double scale) {
  std::vector<T> values(kRows * kColumns);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(static_cast<float>(scale * (static_cast<double>(i) - 7)));
  return values;
}

template <class T>
rw::ContainerItem item(const char* path, rw::FileType type, const std::vector<T>& values) {
  return {path, type, {kRows, kColumns}, std::as_bytes(std::span(values)), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  using rw::FileType;
  const auto f64 = ramp<double>(0.1);
  const auto f32 = ramp<float>(0.1);
  const auto bf16 = ramp<rw::bf16>(0.1);
  const auto i32 = ramp<int32_t>(1000);
  std::vector<uint8_t> u8(kRows * kColumns);
  std::iota(u8.begin(), u8.end(), uint8_t{241});
  std::vector<uint16_t> u16(kRows * kColumns);
  std::iota(u16.begin(), u16.end(), uint16_t{65521});
  std::vector<uint32_t> u32(kRows * kColumns);
  std::iota(u32.begin(), u32.end(), 4294967281u);
  std::vector<uint64_t> u64(kRows * kColumns);
  std::iota(u64.begin(), u64.end(), 18446744073709551601ull);
  const rw::ContainerItem items[] = {
      item("/model/f64", FileType::f64, f64),
      item("/model/f32", FileType::f32, f32),
      item("/model/bf16", FileType::bf16, bf16),
      item("/model/deep/er/i32", FileType::i32, i32),
      item("/u8", FileType::u8, u8),
      item("/u16", FileType::u16, u16),
      item("/u32", FileType::u32, u32),
      item("/u64", FileType::u64, u64),
      {"/empty", FileType::f32, {0, 4}, {}, {}},
      rw::text_item("/meta", "{\"name\": \"caf\u00e9\"}"),
  };
  rw::write_container(argv[1], items);
}
