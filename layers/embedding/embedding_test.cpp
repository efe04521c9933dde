#include "layers/embedding/embedding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/parallel.hpp"
#include "tests/support/backend.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/error.hpp"

namespace rw::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Case {
  int64_t rows, width, vocabulary, gap;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.rows << 'x' << c.width << " of " << c.vocabulary << " gap " << c.gap;
}
// The tile is a block of 32 columns, on a GPU kSpan and kTile rows and kDigits ids. In bf16 only what its vectors of 8
// change: one and two warps, 16 warps that take another turn; each alone and beside single elements.
std::vector<Case> cases(DType dtype) {
  if (dtype == DType::bf16)
    return {{1, 1, 1, 0},    {5, 8, 7, 0},   {17, 24, 7, 3}, {17, 24, 7, 8},   {9, 264, 30, 0},
            {3, 4104, 2, 0}, {3, 515, 2, 1}, {65, 5, 3, 0},  {257, 264, 2, 0}, {1025, 8, 257, 0}};
  std::vector<Case> all;
  for (int64_t rows : {1, 5, 16, 17})
    for (int64_t width : {1, 5, 15, 16, 17, 31, 32, 33, 129})
      for (int64_t gap : {0, 3}) all.insert(all.end(), {{rows, width, 1, gap}, {rows, width, 7, gap}});
  all.insert(all.end(), {{700, 33, 50, 1}, {9, 768, 300, 0}, {3, 2052, 2, 0}, {3, 515, 2, 1}});
  for (int64_t rows : {32, 33, 63, 65, 257})
    all.insert(all.end(), {{rows, 4, 1, 0}, {rows, 5, 3, 0}, {rows, 132, 2, 0}});
  for (int64_t rows : {1023, 1024, 1025, 2049})
    for (int64_t vocabulary : {1, 256, 257}) all.push_back({rows, 2, vocabulary, 0});
  return all;
}

struct Tensors {
  Tensors(const Case& c_, Where t)
      : c(c_),
        table({c.vocabulary, c.width}, t, c.gap),
        dy({c.rows, c.width}, t, c.gap),
        id({c.rows}, {DType::i32, t.device}),
        y({c.rows, c.width}, t, c.gap),
        dtable({c.vocabulary, c.width}, t.in_accumulator(), c.gap) {
    table.fill(normal(table.size(), 1));
    dy.fill(normal(dy.size(), 2));
    std::mt19937 generator(3);  // some ids often, some never, the last once
    std::vector<double> ids(id.size());
    for (double& v : ids)
      v = static_cast<double>(generator() % 3 ? generator() % static_cast<size_t>((c.vocabulary + 1) / 2) : 0);
    ids[ids.size() / 2] = static_cast<double>(c.vocabulary - 1);
    id.fill(ids);
  }

  Case c;
  Tensor table, dy, id;  // inputs
  Tensor y, dtable;      // outputs
};

template <class T>
void naive(const Tensors& t) {
  for (int64_t i = 0; i < t.c.vocabulary; ++i)
    for (int64_t c = 0; c < t.c.width; ++c) {
      T sum = 0;
      for (int64_t r = 0; r < t.c.rows; ++r)
        if (t.id.as<int32_t>().data[r] == i) {
          t.y.as<T>()[r][c] = t.table.as<T>()[i][c];
          sum += t.dy.as<T>()[r][c];
        }
      t.dtable.as<T>()[i][c] = sum;
    }
}

// What is tested: the op, or a sabotaged one, to see that it is found out.
struct Op {
  std::function<decltype(embedding_forward)> forward = embedding_forward;
  std::function<decltype(embedding_backward)> backward = embedding_backward;
};

// A line for everything that is wrong.
std::string problems(const Op& op, const Backend& backend, Ctx& ctx, const Case& c) {
  std::string found;
  const auto expect = [&](bool holds, const char* otherwise) {
    if (!holds) found += std::string(otherwise) + '\n';
  };
  Tensors t(c, backend), same_precision(c, accumulator(backend.dtype)), truth(c, DType::f64);
  for (Tensors* one : {&same_precision, &truth}) one->table.fill(t.table.values()), one->dy.fill(t.dy.values());
  visit_dtype<double, float>(accumulator(backend.dtype), [&]<class T>() { naive<T>(same_precision); });
  naive<double>(truth);
  poison_scratch(ctx);
  op.forward(ctx, t.y, t.id, t.table, Grad::overwrite);
  op.backward(ctx, t.dtable, t.dy, t.id, Grad::overwrite);
  expect(largest_difference(t.y.values(), same_precision.y.values()) == 0, "y: not the rows of the table");
  found += parity("dtable", t.dtable, same_precision.dtable, truth.dtable);
  if (ctx.device.kind == Device::cpu || c.rows <= EmbeddingScratch::kSpan)
    expect(t.dtable.values() == same_precision.dtable.values(), "dtable: not added up in the order of the rows");

  auto sum = t.y.values(), doubled = t.dtable.values();
  t.y.fill(normal(t.y.size(), 4));
  for (size_t i = 0; const double before : t.y.values()) sum[i++] += before;
  Tensor stored({c.rows, c.width}, backend.dtype);
  stored.fill(sum);
  op.forward(ctx, t.y, t.id, t.table, Grad::accumulate);
  op.backward(ctx, t.dtable, t.dy, t.id, Grad::accumulate);
  for (double& v : doubled) v *= 2;
  expect(largest_difference(t.y.values(), stored.values()) == 0, "accumulate: y is not the sum");
  expect(largest_difference(t.dtable.values(), doubled) <= 5e-6 * largest(doubled), "accumulate: not the sum");

  Tensors fresh(c, backend);
  for (auto input : {&Tensors::table, &Tensors::dy, &Tensors::id})
    expect((t.*input).bytes() == (fresh.*input).bytes(), "an input changed");
  for (auto output : {&Tensors::y, &Tensors::dtable})
    expect((t.*output).sentinels_intact(), "a sentinel was overwritten");

  expect(ctx.scratch.mark() == 0, "scratch was not given back");

  op.backward(ctx, fresh.dtable, fresh.dy, fresh.id,
              Grad::accumulate);  // onto NaN: a row without a token keeps its bits
  const Tensor untouched({c.vocabulary, c.width}, accumulator(backend.dtype), c.gap);
  const auto ids = t.id.values();
  for (int64_t i = 0; i < c.vocabulary; ++i)
    if (std::ranges::find(ids, static_cast<double>(i)) == ids.end())
      expect(same_bits(rows(fresh.dtable.view(), i, 1), rows(untouched.view(), i, 1)),
             "accumulate: touched a row without tokens");
  return found;
}

double worst_gradient_error(const Op& op, const Case& c) {
  Bench bench({"plain_f64", DType::f64, {}, true});
  Tensors t(c, DType::f64);
  op.backward(bench.ctx, t.dtable, t.dy, t.id, Grad::overwrite);
  return gradient_error(t.table, t.dtable, [&] {
    op.forward(bench.ctx, t.y, t.id, t.table, Grad::overwrite);
    return dot(t.dy.values(), t.y.values());
  });
}

TEST(Embedding, HasNoProblems) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    for (const Case& c : cases(backend.dtype))
      EXPECT_EQ(problems(Op(), backend, bench.ctx, c), "") << backend << ' ' << c;
  }
}

TEST(Embedding, EveryElementThatIsUsedHasAnEffect) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({40, 5, 30, 1}, backend);
    const auto run = [&] {
      embedding_forward(bench.ctx, t.y, t.id, t.table, Grad::overwrite);
      embedding_backward(bench.ctx, t.dtable, t.dy, t.id, Grad::overwrite);
    };
    const auto ids = t.id.values();
    std::vector<size_t> unused;
    for (size_t i = 0; i < 30 * 5; ++i)
      if (std::ranges::find(ids, static_cast<double>(i / 5)) == ids.end()) unused.push_back(i);
    EXPECT_EQ(without_effect(t.table, {&t.y, &t.dtable}, run), unused) << backend;
    EXPECT_THAT(without_effect(t.dy, {&t.dtable}, run), testing::IsEmpty()) << backend;
    for (const Tensor* output : {&t.y, &t.dtable})
      EXPECT_THAT(without_effect(t.id, {output}, run, neighbour), testing::IsEmpty()) << backend;
  }
}

// Each tensor lies, while all others are aligned, where no vector may lie, or where one may but not two.
TEST(Embedding, AnyTensorMayBeUnaligned) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    const Tensors t({40, 16, 5, 0}, backend);
    const std::array<View, 4> aligned = {t.y, t.table, t.dtable, t.dy};
    const auto run = [&](const std::array<View, 4>& v) {
      embedding_forward(bench.ctx, v[0], t.id, v[1], Grad::overwrite);
      embedding_backward(bench.ctx, v[2], v[3], t.id, Grad::overwrite);
    };
    run(aligned);
    for (size_t one = 0; one < aligned.size(); ++one)
      for (const int64_t first : {1, 4}) {
        const Tensor wide({aligned[one].rows(), 24}, {aligned[one].dtype, backend.device});
        const Tensors fresh({40, 16, 5, 0}, backend);
        std::array<View, 4> views = {fresh.y, t.table, fresh.dtable, t.dy};
        views[one] = columns(wide.view(), first, 16);
        copy(views[one], aligned[one]);
        run(views);
        EXPECT_TRUE(same_bits(views[0], t.y) && same_bits(views[2], t.dtable)) << backend << one << first;
      }
  }
}

TEST(Embedding, GradientMatchesCentralDifferences) {
  for (const Case& c : {Case{2, 2, 2, 0}, Case{11, 7, 5, 3}, Case{5, 33, 4, 0}})
    EXPECT_LT(worst_gradient_error(Op(), c), 1e-7) << c;
}

TEST(Embedding, TakesIdsOfAnyShapeAndStride) {  // the first T of T + 1 tokens of each sample
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensors t({6, 5, 9, 0}, backend);
    Tensor tokens({2, 4}, {DType::i32, backend.device}), y({2, 3, 5}, backend);
    Tensor dtable({9, 5}, Where(backend).in_accumulator());
    tokens.fill({1, 8, 3, 7, 0, 5, 5, 7});
    t.id.fill({1, 8, 3, 0, 5, 5});
    embedding_forward(bench.ctx, t.y, t.id, t.table, Grad::overwrite);
    embedding_forward(bench.ctx, y, columns(tokens.view(), 0, 3), t.table, Grad::overwrite);
    EXPECT_EQ(y.values(), t.y.values()) << backend;
    embedding_backward(bench.ctx, t.dtable, t.dy, t.id, Grad::overwrite);
    embedding_backward(bench.ctx, dtable, t.dy, columns(tokens.view(), 0, 3), Grad::overwrite);
    EXPECT_EQ(dtable.values(), t.dtable.values()) << backend;
  }
}

TEST(Embedding, SameBitsForEveryNumberOfThreads) {
  const int before = threads();
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    std::vector<std::vector<std::byte>> all;
    for (int n : {1, 2, 3}) {
      set_threads(n);
      Tensors t({700, 129, 20, 3}, backend);
      embedding_forward(bench.ctx, t.y, t.id, t.table, Grad::overwrite);
      embedding_backward(bench.ctx, t.dtable, t.dy, t.id, Grad::overwrite);
      auto bytes = t.y.bytes();
      bytes.insert(bytes.end(), t.dtable.bytes().begin(), t.dtable.bytes().end());
      all.push_back(bytes);
    }
    EXPECT_THAT(all, testing::Each(all[0]));
  }
  set_threads(before);
}

TEST(Embedding, OrderOfAdditionsDependsOnIdsAlone) {
  std::vector<std::vector<double>> all;
  for (const Backend& backend : gpu_backends()) {
    Bench bench(backend);
    Tensors t({1500, 7, 20, 0}, backend);
    t.dy.fill(rounded(t.dy.values(), DType::bf16));  // the same for all
    embedding_backward(bench.ctx, t.dtable, t.dy, t.id, Grad::overwrite);
    all.push_back(t.dtable.values());
  }
  if (all.empty()) GTEST_SKIP() << "no emulated device in this build";
  EXPECT_THAT(all, testing::Each(all.front()));
}

TEST(Embedding, SortsIdsOfThreeDigits) {
  for (const Backend& backend : backends()) {
    Bench bench(backend);
    Tensor dtable({70000, 1}, Where(backend).in_accumulator()), dy({6, 1}, backend),
        id({6}, {DType::i32, backend.device});
    id.fill({69999, 4463, 65536, 4463 + 65536, 65536, 256}), dy.fill({1, 2, 4, 8, 16, 32});
    embedding_backward(bench.ctx, dtable, dy, id, Grad::overwrite);
    std::vector<double> sums(dtable.size());
    sums[69999] = 1 + 8, sums[4463] = 2, sums[65536] = 4 + 16, sums[256] = 32;
    EXPECT_EQ(dtable.values(), sums) << backend;
  }
}

// Memory before the sorted tokens may look like one with the id of the first.
TEST(Embedding, LooksAtNoTokenBeforeTheFirst) {
  for (const Backend& backend : gpu_backends()) {
    Bench bench(backend);
    const ArenaScope scope(bench.ctx.scratch);
    fill_zero(bench.ctx, bench.ctx.scratch.take({64}, DType::i32, "before"));
    Tensor dtable({2, 1}, Where(backend).in_accumulator()), dy({3, 1}, backend), id({3}, {DType::i32, backend.device});
    id.fill({0, 1, 0}), dy.fill({1, 2, 4});
    embedding_backward(bench.ctx, dtable, dy, id, Grad::overwrite);
    EXPECT_EQ(dtable.values(), (std::vector<double>{5, 2})) << backend;
  }
}

TEST(Embedding, OnADeviceARowWithAnIdOutsideIsNaNAndHasNoGradient) {
  const std::vector<double> ids = {-1, 4, 5, 1, 1e9, 4, -0x1p31, 261};
  for (const Backend& backend : gpu_backends()) {
    Bench bench(backend);
    for (int64_t width : {7, 8})
      for (Grad store : {Grad::overwrite, Grad::accumulate}) {
        Tensors t({8, width, 5, 0}, backend), good({3, width, 5, 0}, backend);
        t.id.fill(ids), good.id.fill({4, 1, 4});
        for (const auto& [from, to] : {std::pair{1, 0}, {3, 1}, {5, 2}})
          copy(rows(good.dy.view(), to, 1), rows(t.dy.view(), from, 1));
        for (Tensors* one : {&t, &good}) {
          if (store == Grad::accumulate) one->y.fill(std::vector<double>(one->y.size(), 1));
          embedding_forward(bench.ctx, one->y, one->id, one->table, store);
          embedding_backward(bench.ctx, one->dtable, one->dy, one->id, store);
        }
        EXPECT_EQ(t.dtable.bytes(), good.dtable.bytes()) << backend;
        const auto y = t.y.values();
        for (int64_t r = 0, row_of_good = 0; r < 8; ++r)
          if (const double id = ids[static_cast<size_t>(r)]; id < 0 || id >= 5)
            EXPECT_TRUE(std::all_of(&y[r * width], &y[r * width] + width, [](double v) { return std::isnan(v); }))
                << backend << r;
          else
            EXPECT_TRUE(same_bits(rows(t.y.view(), r, 1), rows(good.y.view(), row_of_good++, 1))) << backend << r;
        t.id.fill(std::vector<double>(8, -1));
        Tensor dtable({5, width}, Where(backend).in_accumulator());
        embedding_backward(bench.ctx, dtable, t.dy, t.id, Grad::overwrite);
        EXPECT_EQ(dtable.values(), std::vector<double>(dtable.size())) << backend;
      }
  }
}

TEST(Embedding, ErrorsNameWhatIsWrong) {
  Bench bench({"plain_f32", DType::f32, {}, true});
  const Tensors t({3, 8, 5, 0}, DType::f32);
  const Tensor narrow({3, 7}, DType::f32), table_narrow({5, 7}, DType::f32), empty({0, 8}, DType::f32);
  const Tensor f64({3, 8}, DType::f64), table_f64({5, 8}, DType::f64), id_f32({3}, DType::f32), few({2}, DType::i32);
  const Tensor far({3, 8}, {DType::f32, {Device::cuda, 0}});
  Tensor high({3}, DType::i32), low({3}, DType::i32);
  high.fill({0, 4, 5}), low.fill({0, -1, 7});
  const auto forward = [&](const std::vector<View>& v) {
    return error_of([&] { embedding_forward(bench.ctx, v[0], v[1], v[2], Grad::overwrite); });
  };
  const auto backward = [&](const std::vector<View>& v) {
    return error_of([&] { embedding_backward(bench.ctx, v[0], v[1], v[2], Grad::overwrite); });
  };
  const auto expect = [](const char* op, const auto& run, const std::vector<View>& right,
                         const std::vector<Wrong>& wrong) {
    EXPECT_EQ(run(right), "");
    for (const auto& [argument, instead, message] : wrong) {
      auto views = right;
      views[argument] = instead;
      EXPECT_THAT(run(views), AllOf(StartsWith(op), HasSubstr(message)));
    }
  };
  expect("embedding_forward: ", forward, {t.y, t.id, t.table},
         {{0, empty, "expected y.rows() > 0 && y.width() > 0, got y = f32 [0, 8]"},
          {1, few, "expected id.shape.elements() == y.rows(), got id = i32 [2], y = f32 [3, 8]"},
          {2, table_narrow, "expected table.rows() > 0 && table.width() == y.width(), got table = f32 [5, 7]"},
          {1, id_f32, "expected id.dtype == DType::i32, got id = f32 [3]"},
          {2, table_f64, "expected table.dtype == y.dtype, got table = f64 [5, 8], y = f32 [3, 8]"},
          {0, far, "y = f32 [3, 8] on cuda"},
          {0, rows(t.table.view(), 1, 3), "expected disjoint_from_all(y, id, table)"},
          {1, high, "expected every id in [0, 5), got id[2] = 5"},
          {1, low, "expected every id in [0, 5), got id[1] = -1"}});
  expect("embedding_backward: ", backward, {t.dtable, t.dy, t.id},
         {{0, table_narrow, "expected dtable.rows() > 0 && dtable.width() == dy.width(), got dtable = f32 [5, 7]"},
          {1, empty, "expected dy.rows() > 0 && dy.width() > 0, got dy = f32 [0, 8]"},
          {2, few, "expected id.shape.elements() == dy.rows(), got id = i32 [2], dy = f32 [3, 8]"},
          {2, id_f32, "expected id.dtype == DType::i32, got id = f32 [3]"},
          {0, table_f64, "expected dtable.dtype == accumulator(dy.dtype), got dtable = f64 [5, 8], dy = f32 [3, 8]"},
          {1, far, "dy = f32 [3, 8] on cuda"},
          {1, rows(t.dtable.view(), 1, 3), "expected disjoint_from_all(dtable, dy, id)"},
          {2, high, "expected every id in [0, 5), got id[2] = 5"}});
  const Tensors t_bf16({3, 8, 5, 0}, DType::bf16);
  EXPECT_EQ(forward({t_bf16.y, t_bf16.id, t_bf16.table}), "embedding_forward: has no CPU twin for bf16");
  EXPECT_EQ(backward({t_bf16.dtable, t_bf16.dy, t_bf16.id}), "embedding_backward: has no CPU twin for bf16");
  EXPECT_THAT(forward({t_bf16.y, t_bf16.id, t.table}), HasSubstr("expected table.dtype == y.dtype"));
  EXPECT_EQ(backward({t_bf16.table, t_bf16.dy, t_bf16.id}),
            "embedding_backward: expected dtable.dtype == accumulator(dy.dtype), got dtable = bf16 [5, 8], "
            "dy = bf16 [3, 8]");
  EXPECT_THAT(error_of([&] { embedding_forward(bench.ctx, t.y, t.id, t.table, Grad::skip); }),
              HasSubstr("embedding_forward: expected store != Grad::skip"));
  EXPECT_THAT(error_of([&] { embedding_backward(bench.ctx, t.dtable, t.dy, t.id, Grad::skip); }),
              HasSubstr("embedding_backward: expected store != Grad::skip"));
  bench.ctx.dry = true;  // nothing is read
  EXPECT_EQ(forward({t.y, high, t.table}), "");
}

TEST(Embedding, SabotageIsFoundOut) {
  const Backend backend{"plain_f32", DType::f32, {}, true};
  Bench bench(backend);
  const auto found = [&](const Op& op) { return problems(op, backend, bench.ctx, {9, 17, 7, 3}); };
  EXPECT_EQ(found(Op()), "");
  Op op;
  op.forward = [](Ctx& ctx, View y, CView id, CView table, Grad) {
    embedding_forward(ctx, y, id, table, Grad::overwrite);
  };
  EXPECT_THAT(found(op), HasSubstr("accumulate: y is not the sum"));
  op.forward = [](Ctx& ctx, View y, CView id, CView table, Grad store) {
    embedding_forward(ctx, y, id, table, store);
    y.as<float>()[0][y.width()] = 0;
  };
  EXPECT_THAT(found(op), HasSubstr("a sentinel"));
  op = {};
  op.backward = [](Ctx& ctx, View dtable, CView dy, CView id, Grad store) {  // the last row is forgotten
    embedding_backward(ctx, dtable, rows(dy, 0, dy.rows() - 1), columns(id, 0, id.width() - 1), store);
  };
  EXPECT_THAT(found(op), HasSubstr("dtable: error"));
  EXPECT_GT(worst_gradient_error(op, {5, 4, 3, 0}), 1e-3);
  op.backward = [](Ctx& ctx, View dtable, CView dy, CView id, Grad store) {
    embedding_backward(ctx, dtable, dy, id, store);
    if (store == Grad::accumulate) dtable.as<float>()[dtable.rows() - 2][0] = 0;
  };
  EXPECT_THAT(found(op), HasSubstr("touched a row without tokens"));
}

}  // namespace
}  // namespace rw::test
