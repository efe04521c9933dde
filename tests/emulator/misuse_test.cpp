// Whatever is wrong with a kernel or its launch is reported, as rw::Error or by a sanitizer.
#include <bit>
#include <cmath>
#include <numeric>

#include "tests/emulator/test_launch.hpp"
#include "tests/support/sanitizer.hpp"

namespace rw::test {
namespace {

using testing::AllOf, testing::HasSubstr, testing::StartsWith;

const Shaped kWarp{{1}, {32}, 2048}, kTwoWarps{{1}, {64}, 2048}, kTwoBlocks{{2}, {64}, 2048};

struct Wrong {
  const char* kernel;
  Shaped shape;
  const char* message;
};

struct Buffers {
  alignas(16) std::array<float, 1024> in{}, out{};

  Buffers() { out.fill(-1); }
  Memory memory(int n = 0) { return {.out = out.data(), .in = in.data(), .n = n}; }
};

void expect_a_right_kernel_runs() {
  std::vector<int> in(192), expected(192);
  std::iota(in.begin(), in.end(), 0);
  std::iota(expected.rbegin(), expected.rend(), 0);
  const Order order = simt::order();
  EXPECT_EQ(result<int>("reversed", {{1}, {192}, 768}, 192, in, 3), expected);
  simt::order() = order;
}

void expect_reports(const std::vector<Wrong>& all) {
  for (const Wrong& wrong : all)
    for (const Order& order : kOrders) {
      simt::order() = order;
      Buffers buffers;
      const std::string error = error_of([&] { start(wrong.kernel, wrong.shape, buffers.memory(3)); });
      EXPECT_THAT(error, AllOf(HasSubstr("::" + std::string(wrong.kernel) + ": "), HasSubstr(wrong.message)));
      expect_a_right_kernel_runs();
    }
}

TEST(Misuse, OfLaunches) {
  expect_reports({
      {"order", {{1}, {1025}}, "a block of (1025, 1, 1) threads"},
      {"order", {{1}, {32, 8, 5}}, "a block of (32, 8, 5) threads"},
      {"order", {{1}, {1, 1, 65}}, "a block of (1, 1, 65) threads"},
      {"order", {{1}, {0}}, "a block of (0, 1, 1) threads"},
      {"order", {{0}, {1}}, "a grid of (0, 1, 1) blocks"},
      {"order", {{1, 65536}, {1}}, "a grid of (1, 65536, 1) blocks"},
      {"order", {{1, 1, 0}, {1}}, "a grid of (1, 1, 0) blocks"},
      {"order", {{1}, {1}, (227 << 10) + 1}, "232449 bytes of shared memory"},
      {"launch_from_a_kernel", kWarp, "order: a launch from a kernel, thread ("},
  });
}

TEST(Misuse, OfBarriersAndWarps) {
  expect_reports({
      {"divergent_barrier", kTwoWarps, "a divergent barrier: thread "},
      {"barrier_and_shuffle", kWarp, "deadlock: 32 of 32 threads wait; thread 0 in __shfl_sync at "},
      {"masks_differ", kWarp, "deadlock: 32 of 32 threads wait; thread 0 in __shfl_sync at "},
      {"not_in_its_mask", kWarp, "__shfl_sync of a lane that is not in its own mask at "},
      {"shuffle_from_outside_the_mask", kWarp, ", which does not take part at "},
      {"shuffle_from_beyond_the_block", {{1}, {20}}, ", which does not take part at "},
      {"shuffle_from_a_returned_lane", kWarp, "reads lane 3, which does not take part at "},
      {"operations_differ", kWarp, "lanes of a warp disagree: one is in "},
      {"product_of_part_of_a_warp", kWarp, "mma of a part of a warp at "},
      {"product_of_part_of_a_warp", {{1}, {15}}, "mma of a part of a warp at "},
      {"matrices_of_part_of_a_warp", kWarp, "ldmatrix of a part of a warp at "},
      {"misaligned_matrix", kWarp, "ldmatrix of a row not at a multiple of 16 at "},
      {"matrix_in_global_memory", kWarp, "ldmatrix of a row not in shared memory at "},
  });
}

TEST(Misuse, OfVectors) {
  expect_reports({
      {"misaligned_vector", kWarp, "an access to 16 bytes at an address that is not a multiple of 16 at "},
  });
}

TEST(Misuse, NamesFileAndLine) {
  Buffers buffers;
  for (const char* kernel : {"divergent_barrier", "barrier_and_shuffle", "operations_differ", "misaligned_copy_to"})
    EXPECT_THAT(error_of([&] { start(kernel, kTwoWarps, buffers.memory()); }),
                testing::ContainsRegex("tests/emulator/test_kernels\\.cu:[0-9]+"));
}

TEST(Misuse, OfCopies) {
  expect_reports({
      {"misaligned_copy_to", kWarp, "copy_async with an address that is not a multiple of 16 at "},
      {"misaligned_copy_from", kWarp, "copy_async with an address that is not a multiple of 16 at "},
      {"copy_to_global_memory", kWarp, "copy_async to what is not shared memory at "},
      {"copy_from_shared_memory", kWarp, "copy_async from shared memory at "},
      {"copy_of_too_much", kWarp, "copy_async of 17 bytes into 16 at "},
      {"copy_without_wait", kWarp, "a thread returned with copies that it had not waited for"},
  });
}

TEST(Misuse, ShowsInTheResult) {
  for (const Order& order : kOrders) {
    simt::order() = order;
    for (const char* kernel : {"copy_without_wait", "wait_for_too_few", "unwritten_shared_memory"}) {
      Buffers buffers;
      error_of([&] { start(kernel, kTwoWarps, buffers.memory()); });
      const auto& out = buffers.out;
      EXPECT_TRUE(std::any_of(out.begin(), out.end(), [](float v) { return std::isnan(v); })) << kernel;
    }
  }
}

TEST(Misuse, Races) {
  if (!finds_races()) GTEST_SKIP() << "these kernels were compiled without -fsanitize=thread";
  expect_reports({
      {"race_without_a_barrier", kTwoWarps, "a data race on shared memory"},
      {"race_without_a_barrier_of_the_warp", kWarp, "a data race on shared memory"},
      {"race_with_a_lane_outside_the_mask", kWarp, "a data race on shared memory"},
      {"race_of_a_warp_barrier_for_a_block", kTwoWarps, "a data race on shared memory"},
      {"race_of_a_write_after_a_read", kTwoWarps, "a data race on shared memory"},
      {"race_with_another_lane_that_read", kWarp, "a data race on shared memory"},
      {"race_with_another_warp_that_read", kTwoWarps, "a data race on shared memory"},
      {"race_with_lanes_that_a_row_was_read_for", kWarp, "a data race on shared memory"},
      {"race_of_two_writes", kWarp, " and a write at "},
      {"race_of_two_writes", kTwoWarps, " and a write at "},
      {"race_of_a_sum", kWarp, "a data race on global memory"},
      {"race_of_blocks_that_write", kTwoBlocks, " and a write at "},
      {"race_of_blocks_that_read", kTwoBlocks, "a data race on global memory"},
      {"race_of_a_tile_not_full", kTwoWarps, "a data race on shared memory"},
      {"race_of_a_tile_not_empty", kTwoWarps, "a data race on shared memory"},
      {"race_of_a_read_before_the_wait", kTwoWarps, "a data race on shared memory"},
      {"race_of_matrices", kWarp, "a data race on shared memory"},
  });
}

struct Sanitizers : testing::Test {
  void SetUp() override {
    if (!kAddressSanitizer) GTEST_SKIP() << "needs a build with AddressSanitizer and UndefinedBehaviorSanitizer";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

void expect_death(const char* kernel, const Shaped& shape, Memory memory, const char* message) {
  for (const Order& order : kOrders) {
    simt::order() = order;
    EXPECT_DEATH(start(kernel, shape, memory), message) << kernel;
  }
}

TEST_F(Sanitizers, FindWhatIsOutOfBounds) {
  Buffers buffers;
  expect_death("before_static_shared_memory", kWarp, buffers.memory(1), "index -1 out of bounds");
  expect_death("beyond_static_shared_memory", kWarp, buffers.memory(1), "AddressSanitizer: global-buffer-overflow");
  const Shaped shape{{1}, {32}, 128}, copies{{1}, {32}, 512};
  expect_death("beyond_dynamic_shared_memory", shape, buffers.memory(1), "AddressSanitizer: use-after-poison");
  expect_death("copy_beyond_shared_memory", copies, buffers.memory(1), "AddressSanitizer: use-after-poison");
  expect_death("beyond_a_local_array", kTwoWarps, buffers.memory(1), "AddressSanitizer: |index 4 out of bounds");
  std::vector<float> heap(32);
  expect_death("beyond_global_memory", kWarp, {.out = heap.data(), .n = 1}, "AddressSanitizer: heap-buffer-overflow");
}

}  // namespace
}  // namespace rw::test
