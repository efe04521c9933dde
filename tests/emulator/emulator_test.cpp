// What the emulator makes of right kernels. Their numbers are exact.
#include <numeric>
#include <random>

#include "core/tensor/dtype.hpp"
#include "tests/emulator/test_launch.hpp"

namespace rw::test {
namespace {

template <class T = int>
std::vector<T> numbers(size_t n) {
  std::vector<T> all(n);
  std::iota(all.begin(), all.end(), T{});
  return all;
}

TEST(Emulator, ThreadsKnowWhereTheyAre) {
  for (const Dim grid : {Dim{5}, Dim{3, 2}, Dim{2, 3, 4}})
    for (const Dim block : {Dim{7}, Dim{33}, Dim{4, 3}, Dim{2, 3, 64}}) {
      std::vector<unsigned> expected;
      for (unsigned bz = 0; bz < grid.z; ++bz)
        for (unsigned by = 0; by < grid.y; ++by)
          for (unsigned bx = 0; bx < grid.x; ++bx)
            for (unsigned z = 0; z < block.z; ++z)
              for (unsigned y = 0; y < block.y; ++y)
                for (unsigned x = 0; x < block.x; ++x)
                  for (const Dim d : {Dim{x, y, z}, Dim{bx, by, bz}, block, grid})
                    expected.insert(expected.end(), {d.x, d.y, d.z});
      EXPECT_EQ(result<unsigned>("indices", {grid, block}, expected.size()), expected);
    }
}

using Sequence = std::vector<std::pair<unsigned, unsigned>>;  // block, thread; after the barrier thread + kThreads
constexpr unsigned kBlocks = 9, kThreads = 70;
Sequence seen;

Sequence sequence(const Order& order) {
  simt::order() = order;
  seen.clear();
  start("order", {{kBlocks}, {kThreads}},
        {.record = [](unsigned block, unsigned thread) { seen.emplace_back(block, thread); }});
  return seen;
}

// The last to come to a barrier is the first to leave it.
Sequence with_barrier(const std::vector<unsigned>& blocks, const std::vector<unsigned>& threads) {
  Sequence all;
  for (const unsigned block : blocks) {
    for (const unsigned thread : threads) all.emplace_back(block, thread);
    all.emplace_back(block, kThreads + threads.back());
    for (size_t i = 0; i + 1 < threads.size(); ++i) all.emplace_back(block, kThreads + threads[i]);
  }
  return all;
}

TEST(Emulator, OrdersDiffer) {
  auto blocks = numbers<unsigned>(kBlocks), threads = numbers<unsigned>(kThreads);
  const Sequence forward = with_barrier(blocks, threads);
  EXPECT_EQ(sequence({Order::forward}), forward);
  std::ranges::reverse(blocks), std::ranges::reverse(threads);
  EXPECT_EQ(sequence({Order::reverse}), with_barrier(blocks, threads));

  const Sequence shuffled = sequence({Order::shuffled, 1});
  EXPECT_THAT(shuffled, testing::UnorderedElementsAreArray(forward));
  EXPECT_EQ(sequence({Order::shuffled, 1}), shuffled);
  EXPECT_NE(sequence({Order::shuffled, 2}), shuffled);
  std::vector<unsigned> shuffled_blocks;
  std::vector<std::vector<unsigned>> shuffled_threads;  // of each block
  for (size_t first = 0; first < shuffled.size(); first += 2 * kThreads) {
    shuffled_blocks.push_back(shuffled[first].first);
    std::vector<unsigned> now;
    for (size_t i = 0; i < kThreads; ++i) now.push_back(shuffled[first + i].second);
    shuffled_threads.push_back(now);
  }
  EXPECT_FALSE(std::ranges::is_sorted(shuffled_blocks));
  EXPECT_NE(shuffled_threads[0], shuffled_threads[1]);
  const Sequence first_block(shuffled.begin(), shuffled.begin() + 2 * kThreads);
  EXPECT_NE(first_block, with_barrier({shuffled_blocks[0]}, shuffled_threads[0])) << "barriers change nothing";
}

TEST(Emulator, SharedMemoryIsFreshInEveryBlock) {
  EXPECT_EQ(result<int>("fresh_shared_memory", {{3}, {200}, 200 * sizeof(float)}, 600), std::vector<int>(600, 1));
}

TEST(Emulator, BarriersOfTheBlock) {
  for (const unsigned threads : {1u, 31u, 32u, 33u, 100u, 1024u})
    for (const int times : {1, 2, 5}) {
      auto expected = numbers(3 * threads);
      if (times % 2)
        for (auto begin = expected.begin(); begin != expected.end(); begin += threads)
          std::reverse(begin, begin + threads);
      EXPECT_EQ(
          result<int>("reversed", {{3}, {threads}, threads * sizeof(int)}, 3 * threads, numbers(3 * threads), times),
          expected);
    }
}

struct Pair {
  double a, b;
  bool operator==(const Pair&) const = default;
};

template <class T>
void expect_shuffles(const char* kernel, const std::function<T(int)>& value) {
  std::vector<T> in, expected;
  for (int t = 0; t < 96; ++t) {
    const int first = t / 32 * 32;
    in.push_back(value(t));
    for (const int from : {first + 7, first + (t + 5) % 32, t ^ 19}) expected.push_back(value(from));
  }
  EXPECT_EQ(result<T>(kernel, {{1}, {96}}, expected.size(), in), expected);
}

TEST(Emulator, Shuffles) {
  expect_shuffles<int>("shuffles_of_int", [](int t) { return 3 * t + 1; });
  expect_shuffles<double>("shuffles_of_double", [](int t) { return t / 7.0; });
  expect_shuffles<Pair>("shuffles_of_pair", [](int t) { return Pair{t / 7.0, -t / 3.0}; });
}

TEST(Emulator, PartialMasks) {
  auto expected = numbers(64);
  for (int quarter = 0; quarter < 4; ++quarter)
    for (int i = 0; i <= quarter; ++i) {
      const auto before = expected;
      for (int t = 0; t < 64; ++t)
        if (t % 32 / 8 == quarter) expected[static_cast<size_t>(t)] = before[static_cast<size_t>(t ^ 7)] + 1;
    }
  EXPECT_EQ(result<int>("partial_masks", {{1}, {64}}, 64), expected);
}

TEST(Emulator, NobodyWaitsForThreadsThatReturned) {
  for (const int n : {2, 30, 32, 50, 64, 66}) {
    const auto size = static_cast<size_t>(n);
    std::vector<int> expected(70);
    for (size_t t = 0; t < size; ++t)
      expected[t] = static_cast<int>(size - 1 - t) + 1000 * static_cast<int>(size - 1 - (t ^ 1));
    EXPECT_EQ(result<int>("some_return", {{1}, {70}}, 70, std::vector<int>{}, n), expected) << n;
  }
}

// PTX ISA 9.7.14, "Matrix Fragments for mma.m16n8k16 with floating point type": of lane l, g = l / 4 and t = l % 4,
// element i of its fragments lies at
//   a    row g where i < 2 or 4 <= i < 6, else g + 8;   column 2 t + i % 2, where i >= 4 8 more
//   b    row 2 t + i % 2, where i >= 2 8 more;          column g
//   d    row g where i < 2, else g + 8;                 column 2 t + i % 2
TEST(Emulator, Product) {
  constexpr int kM = 16, kN = 8, kK = 16;
  std::mt19937 random(1);
  const auto matrix = [&](int rows, int columns) {
    std::vector<std::vector<float>> m(static_cast<size_t>(rows), std::vector<float>(static_cast<size_t>(columns)));
    for (auto& row : m)
      for (float& v : row) v = static_cast<float>(static_cast<int>(random() % 33) - 16);
    return m;
  };
  const auto a = matrix(kM, kK), b = matrix(kK, kN), c = matrix(kM, kN);
  std::vector<uint32_t> in;
  std::vector<float> expected;
  for (size_t lane = 0; lane < 32; ++lane) {
    const size_t g = lane / 4, t = lane % 4;
    const auto push_pair = [&](float low, float high) {
      in.push_back(bf16(low).bits | uint32_t{bf16(high).bits} << 16);
    };
    const auto of_a = [&](size_t i) {
      return a[i < 2 || (i >= 4 && i < 6) ? g : g + 8][2 * t + i % 2 + (i >= 4 ? 8 : 0)];
    };
    const auto of_b = [&](size_t i) { return b[2 * t + i % 2 + (i >= 2 ? 8 : 0)][g]; };
    for (size_t i = 0; i < 8; i += 2) push_pair(of_a(i), of_a(i + 1));
    for (size_t i = 0; i < 4; i += 2) push_pair(of_b(i), of_b(i + 1));
    for (size_t i = 0; i < 4; ++i) {
      const size_t row = i < 2 ? g : g + 8, column = 2 * t + i % 2;
      in.push_back(std::bit_cast<uint32_t>(c[row][column]));
      float sum = c[row][column];
      for (size_t k = 0; k < kK; ++k) sum += a[row][k] * b[k][column];
      expected.push_back(sum);
    }
  }
  EXPECT_EQ(result<float>("product", {{1}, {32}}, 128, in), expected);
}

// PTX ISA, ldmatrix: threads 8 m to 8 m + 7 give the rows of matrix m; lane l gets of its row l / 4 the elements
// 2 (l % 4) and the next; with .trans, of its column l / 4.
TEST(Emulator, Matrices) {
  std::vector<uint16_t> elements(4 * 8 * 8);
  std::iota(elements.begin(), elements.end(), uint16_t{7});
  std::vector<uint32_t> plain, transposed;
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned m = 0; m < 4; ++m) {
      const auto at = [&](unsigned row, unsigned column) { return elements[(m * 8 + row) * 8 + column]; };
      const unsigned i = lane / 4, j = lane % 4 * 2;
      plain.push_back(at(i, j) | uint32_t{at(i, j + 1)} << 16);
      transposed.push_back(at(j, i) | uint32_t{at(j + 1, i)} << 16);
    }
  struct Stride {
    int bytes;
    size_t conflicts;
  };
  for (const auto& [bytes, conflicts] : {Stride{16, 0}, {32, 4}, {48, 0}, {64, 12}, {128, 28}, {144, 0}}) {
    const Shaped shape{{1}, {32}, static_cast<size_t>(bytes) * 32};
    const size_t before = simt::matrix_bank_conflicts();
    EXPECT_EQ(result<uint32_t>("plain_matrices", shape, 128, elements, bytes), plain);
    EXPECT_EQ(result<uint32_t>("transposed_matrices", shape, 128, elements, bytes), transposed);
    EXPECT_EQ(simt::matrix_bank_conflicts() - before, conflicts * 2 * kOrders.size()) << bytes;
  }
}

TEST(Emulator, CopiesInGroups) {
  constexpr size_t kWidth = 40, kTile = 4 * kWidth;
  for (const size_t tiles : {1, 2, 3, 6}) {
    std::vector<float> expected(kWidth);
    for (size_t tile = 0; tile < tiles; ++tile)
      for (size_t t = 0; t < kWidth; ++t)
        for (size_t i = 0; i < 4; ++i) expected[t] += static_cast<float>(tile * kTile + 4 * (kWidth - 1 - t) + i);
    EXPECT_EQ(result<float>("pipeline", {{1}, {kWidth}, 2 * kTile * sizeof(float)}, kWidth,
                            numbers<float>(tiles * kTile), static_cast<int>(tiles)),
              expected);
  }
}

TEST(Emulator, CopiesOfPartsEndInZeros) {
  std::vector<char> in(64 * 16), expected(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<char>(1 + i % 100);
    if (i % 16 < i / 16 % 17) expected[i] = in[i];
  }
  EXPECT_EQ(result<char>("copies_of_parts", {{1}, {64}, in.size()}, in.size(), in), expected);
}

}  // namespace
}  // namespace rw::test
