// What kernels and their launches are written in, beside CUDA's own words. This is nvcc's half; with it kernels run on
// a GPU. Tests that execute kernels on a CPU find tests/emulator/core/device/gpu.cuh under the same name.
//
// launch<kernel>(ctx, grid, block, shared_bytes, arguments...)   is the one place that starts kernels; Error if the
//                                                                launch is refused
// dynamic_shared<T>()                                            the block's dynamic shared memory, shared_bytes of it,
//                                                                at a multiple of 128
// to_bf16(v), pack_bf16(low, high)                               rounded to nearest, ties to even; to_float(v)
// fast_exp2(v)                                                   2^v within 2^-22 of it; zero below 2^-126
// mma_m16n8k16_bf16(d, a, b)                                     d[16, 8] += a[16, 16] · b[16, 8], sums in f32;
//                                                                fragments as PTX ISA 9.7.14 lays them over the lanes
// ldmatrix_x4<transposed>(r, row)                                four 8x8 matrices of 16-bit elements; `row` is this
//                                                                lane's row of 16 bytes
// copy_async16(to, from, bytes = 16)                             16 bytes into shared memory: the first `bytes` from
//                                                                global memory, zeros after them
// copy_async_commit(), copy_async_wait<n>()                      at most n groups of copies may still be on their way
//                                                                when wait returns
// RW_UNROLL for (...)                                            fully, so that arrays indexed by it stay in registers
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <sstream>
#include <string_view>

#include "core/ctx.hpp"
#include "core/device/kernel_name.hpp"

#define RW_UNROLL _Pragma("unroll")

namespace rw {

static_assert(__cplusplus >= 202002L, "nvcc was not told to compile C++20");

namespace detail {
inline void check_launch(cudaError_t status, std::string_view kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  if (status == cudaSuccess) return;
  std::ostringstream text;
  text << kernel << ": " << cudaGetErrorString(status) << " (grid " << grid.x << 'x' << grid.y << 'x' << grid.z
       << ", block " << block.x << 'x' << block.y << 'x' << block.z << ", " << shared_bytes << " bytes shared)";
  throw Error(text.str());
}
}  // namespace detail

template <auto kernel, class... A>
void launch(Ctx& ctx, dim3 grid, dim3 block, size_t shared_bytes, const A&... arguments) {
  constexpr size_t kUnasked = 48 << 10;
  const auto check = [&](cudaError_t status) {
    detail::check_launch(status, kernel_name(__PRETTY_FUNCTION__), grid, block, shared_bytes);
  };
  if (shared_bytes > kUnasked)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)));
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(ctx.stream.native)>>>(arguments...);
  check(cudaGetLastError());
}

template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

// p as a V*, of which alignment it must be: tests look.
template <class V, class T>
__device__ V* as_aligned(T* p) {
  return reinterpret_cast<V*>(p);
}

__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
__device__ inline float to_float(bf16 v) { return __uint_as_float(uint32_t{v.bits} << 16); }
__device__ inline bf16 to_bf16(float v) {
  bf16 rounded;
  rounded.bits = static_cast<uint16_t>(pack_bf16(v, 0));
  return rounded;
}

__device__ inline float fast_exp2(float v) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(v));
  return power;
}

__device__ inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <bool transposed = false>
__device__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

__device__ inline void copy_async16(void* to, const void* from, int bytes = 16) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(to))),
      "l"(from), "r"(bytes)
      : "memory");
}
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int groups>
__device__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

}  // namespace rw
