// XXH3-128 of bytes that come in pieces: finds damage, does not stop a forger.
// Source: xxHash 0.8, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct XXH3_state_s;

namespace rw {

class Hash128 {
 public:
  Hash128();
  ~Hash128();
  Hash128(const Hash128&) = delete;
  void add(std::span<const std::byte> bytes);
  std::string hex() const;  // of all that was added: 32 digits, as `xxhsum -H2` prints it

 private:
  XXH3_state_s* state_;
};

std::string hash_of(std::span<const std::byte> bytes);

}  // namespace rw
