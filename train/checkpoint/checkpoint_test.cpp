#include "train/checkpoint/checkpoint_test.hpp"

#include <fstream>

#include "tests/support/error.hpp"

namespace rw {
namespace {

using namespace test;
using testing::AllOf;
using testing::HasSubstr;

TEST(Checkpoint, GivesBackEveryBit) {
  for (DType dtype : {DType::f32, DType::f64})
    for (bool moments : {true, false}) {
      const TemporaryFolder folder;
      const State state(dtype, 5, moments);
      const auto before = state.bytes();
      const SavedCheckpoint saved = save_checkpoint(folder.path(), meta_of(123), state.tensors, kTokenizer);
      EXPECT_EQ(saved.folder, folder / "step-000123");
      EXPECT_EQ(state.bytes(), before);
      const Checkpoint checkpoint = Checkpoint::open(saved.folder);
      EXPECT_EQ(checkpoint.meta(), meta_of(123));
      EXPECT_EQ(checkpoint.has_optimizer(), moments);
      EXPECT_EQ(checkpoint.tensors().size(), state.tensors.size());
      EXPECT_EQ(loaded(checkpoint, dtype, moments), before);
      const auto files = checkpoint.tokenizer();
      ASSERT_EQ(files.size(), 2u);
      EXPECT_EQ(files[0].name, "tokenizer.model");
      EXPECT_EQ(files[0].bytes, kTokenizer[0].bytes);
      EXPECT_EQ(files[1].bytes, "");
      EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"latest", "step-000123"}));
      EXPECT_EQ(names_in(saved.folder), (std::vector<std::string>{"checkpoint.h5", "checkpoint.h5.manifest.json"}));
      EXPECT_GT(saved.bytes, before.size());
      EXPECT_LT(saved.bytes, std::filesystem::file_size(saved.folder / "checkpoint.h5"));
    }
}

TEST(Checkpoint, MetaKeepsWhatJsonHasNoWordFor) {
  const TemporaryFolder folder;
  CheckpointMeta meta = meta_of(1);
  meta.val_loss.reset();
  meta.best_val = -0.0;
  meta.state["minus"] = -std::numeric_limits<double>::infinity();
  meta.state["tiny"] = 5e-324;
  meta.state["nan"] = std::numeric_limits<double>::quiet_NaN();
  meta.command = "a \"quoted\" \\ line\nwith\ttabs";
  save_checkpoint(folder.path(), meta, {}, {});
  CheckpointMeta back = Checkpoint::open(folder.path()).meta();
  EXPECT_TRUE(std::isnan(back.state["nan"]));
  EXPECT_TRUE(std::signbit(*back.best_val));
  meta.state.erase("nan");
  back.state.erase("nan");
  EXPECT_EQ(back, meta);
  meta.command = "\xff";  // not UTF-8: the bytes of an argument can be anything
  save_checkpoint(folder.path(), meta, {}, {});
  EXPECT_EQ(Checkpoint::open(folder.path()).meta().command, "\xef\xbf\xbd");
}

// A parameter of two parts becomes two tensors, whose views lie in it.
TEST(Checkpoint, PartsOfAParameter) {
  Buffer value(Device{}, {5, 3}, DType::f32), m(Device{}, {5, 3}, DType::f32), v(Device{}, {5, 3}, DType::f32);
  Buffer bias(Device{}, {5}, DType::f32);
  const Param weight{{{"q", 2}, {"k", 3}}, {5, 3}, true, 0, 0, value.view(), {}};
  const Param vector{{{"q.bias", 2}, {"k.bias", 3}}, {5}, false, 0, 0, bias.view(), {}};
  std::vector<StateTensor> tensors;
  add_state(tensors, weight, m, v);
  add_state(tensors, vector);
  ASSERT_EQ(tensors.size(), 4u);
  EXPECT_EQ(tensors[1].name, "k");
  EXPECT_EQ(tensors[1].value.shape, (Shape{3, 3}));
  EXPECT_EQ(tensors[1].value.data, value.view().data + 6 * 4);
  EXPECT_EQ(tensors[1].v.data, v.view().data + 6 * 4);
  EXPECT_EQ(tensors[3].value.shape, (Shape{3}));
  EXPECT_EQ(tensors[3].value.data, bias.view().data + 2 * 4);
  EXPECT_TRUE(tensors[3].m.empty());
  const Param wrong{{{"q", 2}}, {5, 3}, true, 0, 0, value.view(), {}};
  EXPECT_THAT(error_of([&] { add_state(tensors, wrong); }), HasSubstr("q"));
}

TEST(Checkpoint, EverythingThatDoesNotFitIsNamedAndNothingIsTouched) {
  const TemporaryFolder folder;
  const State state(DType::f32, 1);
  save_checkpoint(folder.path(), meta_of(1), state.tensors, kTokenizer);
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  const auto error_with = [&](auto&& change) {
    State target(DType::f32, 2);
    const auto before = target.bytes();
    std::vector<Buffer> keep;
    change(target.tensors, keep);
    const auto error = user_error_of([&] { checkpoint.load(target.tensors); });
    EXPECT_EQ(error.code, Exit::data);
    EXPECT_EQ(target.bytes(), before);
    return error.advice;
  };
  using Tensors = std::vector<StateTensor>;
  using Keep = std::vector<Buffer>;
  EXPECT_EQ(error_with([](Tensors& t, Keep&) { t.pop_back(); }), "not in the model: half.5");
  EXPECT_EQ(error_with([](Tensors& t, Keep&) { t[0].name = "other"; }),
            "not in the checkpoint: other\nnot in the model: layers.0.weight");
  EXPECT_EQ(error_with([](Tensors& t, Keep&) { t.push_back(t[0]); }), "not in the checkpoint: layers.0.weight");
  EXPECT_EQ(error_with([](Tensors& t, Keep&) {
              t[0].value = reshape(t[0].value, {5, 7});
            }),
            "different: layers.0.weight is f32 [7, 5], the model has f32 [5, 7]");
  EXPECT_EQ(error_with([](Tensors& t, Keep&) { t[0].v = reshape(t[0].v, {35}); }),
            "different: layers.0.weight (second moment) is f32 [7, 5], the model has f32 [35]");
  EXPECT_EQ(error_with([](Tensors& t, Keep& keep) {
              keep.emplace_back(Device{}, Shape{11}, DType::f64);
              t[2].value = keep.back();
            }),
            "different: layers.2.weight is f32 [11], the model has f64 [11]");
  EXPECT_THAT(error_with([](Tensors& t, Keep&) {
                for (int i = 0; i < 20; ++i) t.push_back({"new." + std::to_string(i), t[0].value, {}, {}});
              }),
              AllOf(HasSubstr("new.7 and 12 more"), testing::Not(HasSubstr("new.8"))));
}

TEST(Checkpoint, WeightsAloneAreTakenAndMissingMomentsAreNamed) {
  const TemporaryFolder folder;
  const State full(DType::f32, 1), bare(DType::f32, 1, false);
  save_checkpoint(folder / "full", meta_of(1), full.tensors, kTokenizer);
  State target(DType::f32, 2, false);
  Checkpoint::open(folder / "full").load(target.tensors);
  for (size_t i = 0; i < target.tensors.size(); ++i) {
    const View a = target.tensors[i].value, b = full.tensors[i].value;
    EXPECT_EQ(std::memcmp(a.data, b.data, static_cast<size_t>(a.width()) * 4), 0);
  }
  save_checkpoint(folder / "bare", meta_of(1), bare.tensors, kTokenizer);
  State whole(DType::f32, 2);
  const auto error = user_error_of([&] { Checkpoint::open(folder / "bare").load(whole.tensors); });
  EXPECT_THAT(error.advice, HasSubstr("without optimizer state: layers.0.weight, "));
}

TEST(Checkpoint, ViewsOfTheFileAreTheTensors) {
  const TemporaryFolder folder;
  const State state(DType::f32, 3);
  save_checkpoint(folder.path(), meta_of(1), state.tensors, kTokenizer);
  Checkpoint opened = Checkpoint::open(folder.path());
  const Checkpoint checkpoint = std::move(opened);  // views stay valid
  const Checkpoint::Tensor* tensor = checkpoint.find("layers.3.weight");
  ASSERT_TRUE(tensor);
  EXPECT_EQ(tensor->value.shape, (Shape{2, 3, 4}));
  EXPECT_EQ(std::memcmp(tensor->v.data, state.tensors[3].v.data, 24 * 4), 0);
  EXPECT_FALSE(checkpoint.find("layers.9.weight"));
}

TEST(Checkpoint, RefusesStatesThatContradictThemselves) {
  const TemporaryFolder folder;
  State state(DType::f32, 1);
  const auto error_with = [&](auto&& change) {
    auto tensors = state.tensors;
    change(tensors);
    return error_of([&] { save_checkpoint(folder.path(), meta_of(1), tensors, kTokenizer); });
  };
  using Tensors = std::vector<StateTensor>;
  EXPECT_THAT(error_with([](Tensors& t) { t[1].name = t[0].name; }), HasSubstr("layers.0.weight"));
  EXPECT_THAT(error_with([](Tensors& t) { t[1].m = {}; }), HasSubstr("layers.1.weight"));
  EXPECT_THAT(error_with([](Tensors& t) { t[1].v = t[0].v; }), HasSubstr("layers.1.weight"));
  EXPECT_THAT(error_with([](Tensors& t) { t[1].value = {}; }), HasSubstr("layers.1.weight"));
  EXPECT_THAT(error_with([](Tensors& t) { t[1].value.device = {Device::cuda, 0}; }), HasSubstr("layers.1.weight"));
  EXPECT_THAT(error_with([](Tensors& t) { t[1].value.dtype = DType::i32; }), HasSubstr("layers.1.weight"));
  EXPECT_THAT(error_with([](Tensors& t) { t[1].name = "a b"; }), HasSubstr("a b"));
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{});
}

}  // namespace
}  // namespace rw
