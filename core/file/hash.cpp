#include "core/file/hash.hpp"

#include <xxhash.h>

#include <new>

#include "core/base/check.hpp"

namespace rw {

Hash128::Hash128() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH3_128bits_reset(state_);
}

Hash128::~Hash128() { XXH3_freeState(state_); }

void Hash128::add(std::span<const std::byte> bytes) { XXH3_128bits_update(state_, bytes.data(), bytes.size()); }

std::string Hash128::hex() const {
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(state_));
  std::string text;
  for (unsigned char byte : digest.digest)
    for (int half : {byte >> 4, byte & 15}) text += "0123456789abcdef"[half];
  return text;
}

std::string hash_of(std::span<const std::byte> bytes) {
  Hash128 hash;
  hash.add(bytes);
  return hash.hex();
}

}  // namespace rw
