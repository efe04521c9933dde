// core/device/gpu.cuh for the emulator: the same words, and those of CUDA that kernels use, on a CPU.
#pragma once
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "core/ctx.hpp"
#include "core/device/kernel_name.hpp"
#include "tests/emulator/simt.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define RW_UNROLL
#define __shared__ static  // blocks run one after another; `run` fills these variables anew for each
#define threadIdx ::rw::simt::thread_index
#define blockIdx ::rw::simt::block_index
#define blockDim ::rw::simt::block_size
#define gridDim ::rw::simt::grid_size

using dim3 = rw::simt::Dim;

// Where the linker put this library's zero-initialised variables; nothing but kernels is in it, so these are the
// variables declared __shared__.
extern "C" {
[[gnu::visibility("hidden")]] extern std::byte __bss_start[];
[[gnu::visibility("hidden")]] extern std::byte _end[];
}

inline void __syncthreads(rw::simt::Place place = rw::simt::Place::current()) { rw::simt::block_barrier(place); }
inline void __syncwarp(unsigned mask = 0xffffffffu, rw::simt::Place place = rw::simt::Place::current()) {
  rw::simt::warp_barrier(mask, place);
}

namespace rw::simt::detail {
template <class T>
T shuffle(uint32_t mask, const char* operation, T value, int source, Place place) {
  static_assert(sizeof(T) <= Exchange::kBytes && std::is_trivially_copyable_v<T>);
  const Exchange all = exchange(mask, operation, &value, sizeof(T), place);
  if (!all.has(source)) misuse(place, operation, " reads lane ", source, ", which does not take part");
  T result;
  all.copy(source, &result, sizeof(T));
  return result;
}
}  // namespace rw::simt::detail

template <class T>
T __shfl_sync(unsigned mask, T value, int source, rw::simt::Place place = rw::simt::Place::current()) {
  return rw::simt::detail::shuffle(mask, "__shfl_sync", value, source & 31, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, rw::simt::Place place = rw::simt::Place::current()) {
  return rw::simt::detail::shuffle(mask, "__shfl_xor_sync", value, rw::simt::lane() ^ lanes, place);
}

inline float rsqrtf(float x) { return 1 / std::sqrt(x); }

namespace rw {

template <auto kernel, class... A>
void launch(Ctx&, dim3 grid, dim3 block, size_t shared_bytes, const A&... arguments) {
  const simt::Launch request{kernel_name(__PRETTY_FUNCTION__), grid, block, shared_bytes, {__bss_start, _end}};
  try {
    simt::run(request, [&] { kernel(arguments...); });
  } catch (const simt::Misuse& problem) {
    throw Error(problem.what());
  }
}

template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(simt::dynamic_shared());
}

template <class V, class T>
V* as_aligned(T* p, simt::Place place = simt::Place::current()) {
  if (reinterpret_cast<uintptr_t>(p) % alignof(V) != 0)
    simt::misuse(place, "an access to ", sizeof(V), " bytes at an address that is not a multiple of ", alignof(V));
  return reinterpret_cast<V*>(p);
}

inline float to_float(bf16 v) { return static_cast<float>(v); }
inline bf16 to_bf16(float v) { return bf16(v); }
inline uint32_t pack_bf16(float low, float high) { return bf16(low).bits | uint32_t{bf16(high).bits} << 16; }
inline float fast_exp2(float v) { return v < -126 ? 0 : std::exp2(v); }

// Lane l holds of a: rows l / 4 and l / 4 + 8, columns 2 (l % 4) and the next, and those 8 to the right; of b: the
// column l / 4, rows like a's columns; of d: like a, 8 columns wide.
inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                              simt::Place place = simt::Place::current()) {
  struct Fragments {
    uint32_t a[4], b[2];
  } mine, row, column;
  std::memcpy(mine.a, a, sizeof a), std::memcpy(mine.b, b, sizeof b);
  const simt::Exchange all = simt::exchange(~0u, "mma", &mine, sizeof mine, place);
  if (!all.is_whole_warp()) simt::misuse(place, "mma of a part of a warp");
  const int first_row = simt::lane() / 4, first_column = simt::lane() % 4 * 2;
  const auto half = [](uint32_t pair, int i) { return std::bit_cast<float>(i ? pair & 0xffff0000u : pair << 16); };
  for (int k = 0; k < 16; ++k) {
    all.copy(first_row * 4 + k % 8 / 2, &row, sizeof row);
    for (int c = 0; c < 2; ++c) {
      all.copy((first_column + c) * 4 + k % 8 / 2, &column, sizeof column);
      const float right = half(column.b[k / 8], k % 2);
      d[c] = std::fma(half(row.a[k / 8 * 2], k % 2), right, d[c]);
      d[c + 2] = std::fma(half(row.a[k / 8 * 2 + 1], k % 2), right, d[c + 2]);
    }
  }
}

// Lane l gets of each matrix row l / 4, elements 2 (l % 4) and the next; of the transposed one, column and rows so.
// Lanes 8 m to 8 m + 7 give the rows of matrix m.
template <bool transposed = false>
void ldmatrix_x4(uint32_t (&r)[4], const void* row, simt::Place place = simt::Place::current()) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) simt::misuse(place, "ldmatrix of a row not at a multiple of 16");
  if (!simt::is_shared(row)) simt::misuse(place, "ldmatrix of a row not in shared memory");
  const simt::Exchange all = simt::exchange(~0u, transposed ? "ldmatrix.trans" : "ldmatrix", &row, sizeof row, place);
  if (!all.is_whole_warp()) simt::misuse(place, "ldmatrix of a part of a warp");
  for (int m = 0; m < 4; ++m) {
    unsigned of_bank[8] = {}, most = 0;
    uint16_t elements[8][8];
    for (int i = 0; i < 8; ++i) {
      const void* from;
      all.copy(m * 8 + i, &from, sizeof from);
      std::memcpy(elements[i], from, 16);
      most = std::max(most, ++of_bank[reinterpret_cast<uintptr_t>(from) / 16 % 8]);
    }
    if (simt::lane() == 0) simt::count_bank_conflicts(most - 1);
    const int i = simt::lane() / 4, j = simt::lane() % 4 * 2;
    r[m] = transposed ? elements[j][i] | uint32_t{elements[j + 1][i]} << 16
                      : elements[i][j] | uint32_t{elements[i][j + 1]} << 16;
  }
}

inline void copy_async16(void* to, const void* from, int bytes = 16, simt::Place place = simt::Place::current()) {
  simt::begin_copy(to, from, static_cast<size_t>(bytes), 16, place);
}
inline void copy_async_commit() { simt::commit_copies(); }
template <int groups>
void copy_async_wait() {
  simt::wait_for_copies(groups);
}

}  // namespace rw
