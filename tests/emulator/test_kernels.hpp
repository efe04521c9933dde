// The kernels of the emulator's own tests, started by name: right ones, and those that misuse a GPU in one way each.
#pragma once
#include <string_view>

#include "core/ctx.hpp"
#include "tests/emulator/simt.hpp"

namespace rw::test {

// What every kernel gets.
struct Memory {
  void* out = nullptr;
  const void* in = nullptr;
  int n = 0;
  void (*record)(unsigned block, unsigned thread) = nullptr;
  Ctx* ctx = nullptr;
};

void start(std::string_view kernel, simt::Dim grid, simt::Dim block, size_t shared_bytes, const Memory&);
bool finds_races();  // these kernels were compiled for it

}  // namespace rw::test
