#include "tests/emulator/test_kernels.hpp"

#include "core/device/vocabulary.cuh"

namespace rw::test {
namespace {

__device__ unsigned thread_number() { return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; }

__global__ void indices(Memory m) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  unsigned* out = static_cast<unsigned*>(m.out) + 12 * (block * threads + thread_number());
  for (const dim3 d : {threadIdx, blockIdx, blockDim, gridDim}) {
    out[0] = d.x, out[1] = d.y, out[2] = d.z;
    out += 3;
  }
}

__global__ void order(Memory m) {
  m.record(blockIdx.x, threadIdx.x);
  __syncthreads();
  m.record(blockIdx.x, blockDim.x + threadIdx.x);
}

// out: 1 where every byte of shared memory was that of a NaN.
__global__ void fresh_shared_memory(Memory m) {
  __shared__ float alone, several[1024];
  float* const dynamic = dynamic_shared<float>();
  const unsigned t = threadIdx.x;
  const bool fresh = std::isnan(several[t]) && std::isnan(dynamic[t]) && (t > 0 || std::isnan(alone));
  static_cast<int*>(m.out)[blockIdx.x * blockDim.x + t] = fresh;
  several[t] = dynamic[t] = 1;
  if (t == 0) alone = 1;
}

// Each block reverses its part, n times. Its shared memory, of blockDim.x elements, is used again.
__global__ void reversed(Memory m) {
  int* const shared = dynamic_shared<int>();
  const unsigned t = threadIdx.x, at = blockIdx.x * blockDim.x + t;
  int v = static_cast<const int*>(m.in)[at];
  for (int i = 0; i < m.n; ++i) {
    shared[t] = v;
    __syncthreads();
    v = shared[blockDim.x - 1 - t];
    __syncthreads();
  }
  static_cast<int*>(m.out)[at] = v;
}

struct Pair {
  double a, b;
};

template <class T>
__device__ void shuffles(Memory m) {
  const unsigned t = threadIdx.x;
  const int lane = static_cast<int>(t % 32);
  const T v = static_cast<const T*>(m.in)[t];
  T* const out = static_cast<T*>(m.out) + 3 * t;
  out[0] = __shfl_sync(kAllLanes, v, 7);
  out[1] = __shfl_sync(kAllLanes, v, lane + 5);  // modulo 32
  out[2] = __shfl_xor_sync(kAllLanes, v, 19);
}
__global__ void shuffles_of_int(Memory m) { shuffles<int>(m); }
__global__ void shuffles_of_double(Memory m) { shuffles<double>(m); }
__global__ void shuffles_of_pair(Memory m) { shuffles<Pair>(m); }

// Lanes meet with those of their quarter, and each quarter as often as its number says.
__global__ void partial_masks(Memory m) {
  __shared__ int shared[64];
  const unsigned t = threadIdx.x, quarter = t % 32 / 8, mask = 0xffu << quarter * 8;
  int v = static_cast<int>(t);
  for (unsigned i = 0; i <= quarter; ++i) {
    shared[t] = v;
    __syncwarp(mask);
    v = shared[t ^ 7] + __shfl_xor_sync(mask, 1, 1);
    __syncwarp(mask);
  }
  static_cast<int*>(m.out)[t] = v;
}

// A block that need not be a multiple of 32, of which the threads from n on return first.
__global__ void some_return(Memory m) {
  __shared__ int shared[1024];
  const int t = static_cast<int>(threadIdx.x);
  if (t >= m.n) return;
  shared[t] = t;
  __syncthreads();
  const int v = shared[m.n - 1 - t];
  static_cast<int*>(m.out)[t] = v + 1000 * __shfl_xor_sync(kAllLanes, v, 1);
  if (t % 32 == 0) return;
  __syncwarp();
  __syncthreads();
}

// in, of each lane: the fragments a, b and d.
__global__ void product(Memory m) {
  const unsigned t = threadIdx.x;
  const uint32_t* const in = static_cast<const uint32_t*>(m.in) + 10 * t;
  const uint32_t a[4] = {in[0], in[1], in[2], in[3]}, b[2] = {in[4], in[5]};
  float d[4];
  for (int i = 0; i < 4; ++i) d[i] = std::bit_cast<float>(in[6 + i]);
  mma_m16n8k16_bf16(d, a, b);
  for (unsigned i = 0; i < 4; ++i) static_cast<float*>(m.out)[4 * t + i] = d[i];
}

// The rows of four matrices, n bytes apart in shared memory.
template <bool transposed>
__device__ void matrices(Memory m) {
  const unsigned t = threadIdx.x;
  char* const row = dynamic_shared<char>() + static_cast<int>(t) * m.n;
  store(reinterpret_cast<float*>(row), load<4>(static_cast<const float*>(m.in) + 4 * t));
  __syncwarp();
  uint32_t r[4];
  ldmatrix_x4<transposed>(r, row);
  for (unsigned i = 0; i < 4; ++i) static_cast<uint32_t*>(m.out)[4 * t + i] = r[i];
}
__global__ void plain_matrices(Memory m) { matrices<false>(m); }
__global__ void transposed_matrices(Memory m) { matrices<true>(m); }

// n tiles of 4 elements for each thread pass through two buffers. out: the sum over the tiles of the thread opposite.
template <bool full, bool empty>
__device__ void tiles(const Memory& m) {
  const unsigned t = threadIdx.x, width = 4 * blockDim.x;
  float* const buffers = dynamic_shared<float>();
  const auto begin = [&](int tile) {
    if (tile < m.n)
      copy_async16(buffers + static_cast<unsigned>(tile) % 2 * width + 4 * t,
                   static_cast<const float*>(m.in) + static_cast<unsigned>(tile) * width + 4 * t);
    copy_async_commit();
  };
  float sum = 0;
  begin(0);
  for (int tile = 0; tile < m.n; ++tile) {
    begin(tile + 1);
    copy_async_wait<1>();
    if (full) __syncthreads();
    for (unsigned i = 0; i < 4; ++i)
      sum += buffers[static_cast<unsigned>(tile) % 2 * width + 4 * (blockDim.x - 1 - t) + i];
    if (empty) __syncthreads();
  }
  static_cast<float*>(m.out)[t] = sum;
}
__global__ void pipeline(Memory m) { tiles<true, true>(m); }

// Of its 16 bytes thread t copies the first t % 17.
__global__ void copies_of_parts(Memory m) {
  const unsigned t = threadIdx.x;
  char* const to = dynamic_shared<char>() + 16 * t;
  copy_async16(to, static_cast<const char*>(m.in) + 16 * t, static_cast<int>(t % 17));
  copy_async_commit();
  copy_async_wait<0>();
  for (unsigned i = 0; i < 16; ++i) static_cast<char*>(m.out)[16 * t + i] = to[i];
}

// Wrong from here on. out is of floats.

__device__ float& out(const Memory& m, unsigned i) { return static_cast<float*>(m.out)[i]; }
__device__ float mine() { return static_cast<float>(threadIdx.x); }

__global__ void divergent_barrier(Memory) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void barrier_and_shuffle(Memory m) {
  if (threadIdx.x == 5)
    __syncthreads();
  else
    out(m, threadIdx.x) = __shfl_sync(kAllLanes, mine(), 5);
}
__global__ void masks_differ(Memory m) {
  out(m, threadIdx.x) = __shfl_sync(threadIdx.x == 9 ? 0xffffu : kAllLanes, mine(), 0);
}
__global__ void not_in_its_mask(Memory m) {
  if (threadIdx.x % 2) out(m, threadIdx.x) = __shfl_sync(0x55555555u, mine(), 0);
}
__global__ void shuffle_from_outside_the_mask(Memory m) {
  if (threadIdx.x < 16) out(m, threadIdx.x) = __shfl_xor_sync(0xffffu, mine(), 16);
}
__global__ void shuffle_from_beyond_the_block(Memory m) { out(m, threadIdx.x) = __shfl_xor_sync(kAllLanes, mine(), 8); }
__global__ void shuffle_from_a_returned_lane(Memory m) {
  if (threadIdx.x == 3) return;
  out(m, threadIdx.x) = __shfl_sync(kAllLanes, mine(), 3);
}
__global__ void operations_differ(Memory m) {
  out(m, threadIdx.x) = threadIdx.x < 16 ? __shfl_sync(kAllLanes, mine(), 0) : __shfl_xor_sync(kAllLanes, mine(), 0);
}
__global__ void product_of_part_of_a_warp(Memory m) {
  if (threadIdx.x < 16) product(m);
}
__device__ void read_matrix(const Memory& m, const void* row) {
  uint32_t r[4];
  ldmatrix_x4(r, row);
  out(m, threadIdx.x) = std::bit_cast<float>(r[0]);
}
__global__ void matrices_of_part_of_a_warp(Memory m) {
  if (threadIdx.x < 31) read_matrix(m, dynamic_shared<char>() + 16 * threadIdx.x);
}
__global__ void misaligned_matrix(Memory m) { read_matrix(m, dynamic_shared<char>() + 24 * threadIdx.x); }
__global__ void matrix_in_global_memory(Memory m) { read_matrix(m, &out(m, 4 * threadIdx.x)); }
__global__ void launch_from_a_kernel(Memory m) { launch<order>(*m.ctx, dim3(1), dim3(1), 0, m); }

__global__ void misaligned_copy_to(Memory m) { copy_async16(dynamic_shared<float>() + 2, &out(m, 0)); }
__global__ void misaligned_copy_from(Memory m) { copy_async16(dynamic_shared<float>(), &out(m, 1)); }
__global__ void copy_to_global_memory(Memory m) { copy_async16(&out(m, 4), &out(m, 0)); }
__global__ void copy_from_shared_memory(Memory) { copy_async16(dynamic_shared<float>() + 4, dynamic_shared<float>()); }
__global__ void copy_of_too_much(Memory m) { copy_async16(dynamic_shared<float>(), m.in, 17); }
__global__ void copy_without_wait(Memory m) {
  float* const shared = dynamic_shared<float>() + 4 * threadIdx.x;
  copy_async16(shared, static_cast<const float*>(m.in) + 4 * threadIdx.x);
  copy_async_commit();
  out(m, threadIdx.x) = shared[0];
}
__global__ void wait_for_too_few(Memory m) {
  float* const shared = dynamic_shared<float>() + 4 * threadIdx.x;
  copy_async16(shared, static_cast<const float*>(m.in) + 4 * threadIdx.x);
  copy_async_commit();
  copy_async_wait<1>();
  out(m, threadIdx.x) = shared[0];
  copy_async_wait<0>();
}
__global__ void unwritten_shared_memory(Memory m) {
  __shared__ float shared[64];
  if (threadIdx.x < 40) shared[threadIdx.x] = 1;
  __syncthreads();
  out(m, threadIdx.x) = shared[threadIdx.x];
}

__global__ void race_without_a_barrier(Memory m) {
  __shared__ float shared[64];
  shared[threadIdx.x] = mine();
  out(m, threadIdx.x) = shared[63 - threadIdx.x];
}
__global__ void race_without_a_barrier_of_the_warp(Memory m) {
  __shared__ float shared[32];
  shared[threadIdx.x] = mine();
  out(m, threadIdx.x) = shared[31 - threadIdx.x] + __shfl_xor_sync(kAllLanes, 0.0f, 1);
}
__global__ void race_with_a_lane_outside_the_mask(Memory m) {
  __shared__ float shared[32];
  shared[threadIdx.x] = mine();
  __syncwarp(threadIdx.x < 16 ? 0xffffu : 0xffff0000u);
  out(m, threadIdx.x) = shared[31 - threadIdx.x];
}
__global__ void race_of_a_warp_barrier_for_a_block(Memory m) {
  __shared__ float shared[64];
  shared[threadIdx.x] = mine();
  __syncwarp();
  out(m, threadIdx.x) = shared[63 - threadIdx.x];
}
__global__ void race_of_a_write_after_a_read(Memory m) {
  __shared__ float shared[64];
  shared[threadIdx.x] = mine();
  __syncthreads();
  const float v = shared[63 - threadIdx.x];
  shared[threadIdx.x] = v + 1;
  out(m, threadIdx.x) = v;
}
__device__ void write_after_two_reads(const Memory& m, unsigned writer) {
  __shared__ float shared;
  if (threadIdx.x == 0) shared = 1;
  __syncthreads();
  if (threadIdx.x == 0 || threadIdx.x == writer) out(m, threadIdx.x) = shared;
  if (threadIdx.x == writer) shared = 2;
}
__global__ void race_with_another_lane_that_read(Memory m) { write_after_two_reads(m, 7); }
__global__ void race_with_another_warp_that_read(Memory m) { write_after_two_reads(m, 39); }
__global__ void race_of_two_writes(Memory m) {
  __shared__ float shared;
  shared = mine();
  __syncthreads();
  out(m, threadIdx.x) = shared;
}
__global__ void race_of_a_sum(Memory m) { out(m, 0) += 1; }
__global__ void race_of_blocks_that_write(Memory m) { out(m, threadIdx.x) = static_cast<float>(blockIdx.x); }
__global__ void race_of_blocks_that_read(Memory m) {
  out(m, threadIdx.x + blockIdx.x * blockDim.x) = out(m, threadIdx.x) + 1;
}
__global__ void race_of_a_tile_not_full(Memory m) { tiles<false, true>(m); }
__global__ void race_of_a_tile_not_empty(Memory m) { tiles<true, false>(m); }
__global__ void race_of_a_read_before_the_wait(Memory m) {
  float* const shared = dynamic_shared<float>();
  copy_async16(shared + 4 * threadIdx.x, static_cast<const float*>(m.in) + 4 * threadIdx.x);
  copy_async_commit();
  __syncthreads();
  out(m, threadIdx.x) = shared[4 * (blockDim.x - 1 - threadIdx.x)];
  copy_async_wait<0>();
}
__global__ void race_of_matrices(Memory m) {
  float* const rows = dynamic_shared<float>();
  store(rows + 4 * threadIdx.x, Vec<float, 4>{});
  read_matrix(m, rows + 4 * threadIdx.x);
}

__global__ void race_with_lanes_that_a_row_was_read_for(Memory m) {
  float* const row = dynamic_shared<float>() + 4 * threadIdx.x;
  read_matrix(m, row);
  store(row, Vec<float, 4>{});
}

// n is one too many.
[[gnu::noinline]] __device__ void set(float* at, int i) { at[i] = 1; }  // where the compiler knows of no array
__global__ void beyond_static_shared_memory(Memory m) {
  __shared__ float shared[32];
  set(shared, static_cast<int>(threadIdx.x) + m.n);
  out(m, threadIdx.x) = shared[threadIdx.x];
}
__global__ void before_static_shared_memory(Memory m) {
  __shared__ float shared[32];
  shared[static_cast<int>(threadIdx.x) - m.n] = 1;
  out(m, threadIdx.x) = shared[threadIdx.x];
}
__global__ void beyond_dynamic_shared_memory(Memory m) {
  dynamic_shared<float>()[static_cast<int>(threadIdx.x) + m.n] = 1;
}
__global__ void copy_beyond_shared_memory(Memory m) {
  copy_async16(dynamic_shared<float>() + 4 * (static_cast<int>(threadIdx.x) + m.n), m.in);
  copy_async_commit();
  copy_async_wait<0>();
}
__global__ void beyond_global_memory(Memory m) { out(m, threadIdx.x + static_cast<unsigned>(m.n)) = 1; }
__global__ void beyond_a_local_array(Memory m) {
  float local[4] = {1, 2, 3, 4};
  __syncthreads();
  out(m, threadIdx.x) = local[static_cast<int>(threadIdx.x % 4) + m.n];
}
__global__ void misaligned_vector(Memory m) { store(&out(m, static_cast<unsigned>(m.n)), Vec<float, 4>{}); }

template <auto kernel>
constexpr std::string_view name_of() {
  const std::string_view name = kernel_name(__PRETTY_FUNCTION__);
  return name.substr(name.rfind(':') + 1);  // clang's with its namespaces, GCC's without
}

template <auto... kernels>
void start_one_of(std::string_view name, dim3 grid, dim3 block, size_t shared_bytes, const Memory& m) {
  const auto is = [&]<auto kernel>() {
    if (name != name_of<kernel>()) return false;
    launch<kernel>(*m.ctx, grid, block, shared_bytes, m);
    return true;
  };
  if (!(is.template operator()<kernels>() || ...)) throw std::out_of_range("no kernel " + std::string(name));
}

}  // namespace

void start(std::string_view name, simt::Dim grid, simt::Dim block, size_t shared_bytes, const Memory& m) {
  start_one_of<indices, order, fresh_shared_memory, reversed, shuffles_of_int, shuffles_of_double, shuffles_of_pair,
               partial_masks, some_return, product, plain_matrices, transposed_matrices, pipeline, copies_of_parts,

               divergent_barrier, barrier_and_shuffle, masks_differ, not_in_its_mask, shuffle_from_outside_the_mask,
               shuffle_from_beyond_the_block, shuffle_from_a_returned_lane, operations_differ,
               product_of_part_of_a_warp, matrices_of_part_of_a_warp, misaligned_matrix, matrix_in_global_memory,
               launch_from_a_kernel, misaligned_copy_to, misaligned_copy_from, copy_to_global_memory,
               copy_from_shared_memory, copy_of_too_much, copy_without_wait, wait_for_too_few, unwritten_shared_memory,

               race_without_a_barrier, race_without_a_barrier_of_the_warp, race_with_a_lane_outside_the_mask,
               race_of_a_warp_barrier_for_a_block, race_of_a_write_after_a_read, race_with_another_lane_that_read,
               race_with_another_warp_that_read, race_with_lanes_that_a_row_was_read_for, race_of_two_writes,
               race_of_a_sum, race_of_blocks_that_write, race_of_blocks_that_read, race_of_a_tile_not_full,
               race_of_a_tile_not_empty, race_of_a_read_before_the_wait, race_of_matrices,

               beyond_static_shared_memory, before_static_shared_memory, beyond_dynamic_shared_memory,
               copy_beyond_shared_memory, beyond_global_memory, beyond_a_local_array, misaligned_vector>(
      name, grid, block, shared_bytes, m);
}

bool finds_races() {
#ifdef __SANITIZE_THREAD__
  return true;
#else
  return false;
#endif
}

}  // namespace rw::test
