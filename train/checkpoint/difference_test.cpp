#include "train/checkpoint/difference.hpp"

#include <cmath>

#include "train/checkpoint/checkpoint_test.hpp"

namespace rw::test {
namespace {

struct Named {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

struct DifferenceTest : testing::Test {
  TemporaryFolder folder{memory_folder()};

  Checkpoint checkpoint(const std::string& name, const std::vector<Named>& tensors, const CheckpointMeta& meta) const {
    std::vector<Buffer> buffers;
    std::vector<StateTensor> state;
    for (const Named& t : tensors) {
      buffers.emplace_back(Device{}, t.shape, DType::f32);
      const View view = buffers.back();
      std::ranges::copy(t.values, view.as<float>().data);
      state.push_back({t.name, view, {}, {}});
    }
    save_checkpoint(folder / name, meta, state, {});
    return Checkpoint::open(folder / name);
  }
};

CheckpointMeta meta(const std::string& model = "{}", const std::string& settings = "") {
  CheckpointMeta out;
  out.step = 5;
  out.model = model, out.settings = settings;
  return out;
}

TEST_F(DifferenceTest, TensorsByHand) {
  const float nan = std::nanf("");
  const Checkpoint a = checkpoint("a",
                                  {{"same", {2}, {1, nan}},
                                   {"little", {2, 2}, {3, 0, 0, 4}},
                                   {"much", {2}, {1, 0}},
                                   {"from_zero", {1}, {0}},
                                   {"broken", {2}, {1, 2}},
                                   {"shape", {2, 3}, {1, 2, 3, 4, 5, 6}},
                                   {"first", {1}, {1}}},
                                  meta());
  const Checkpoint b = checkpoint("b",
                                  {{"same", {2}, {1, nan}},
                                   {"little", {2, 2}, {3, 0, 0, 4.5}},
                                   {"much", {2}, {1, 2}},
                                   {"from_zero", {1}, {1}},
                                   {"broken", {2}, {1, nan}},
                                   {"shape", {3, 2}, {1, 2, 3, 4, 5, 6}},
                                   {"second", {1}, {1}}},
                                  meta());
  const CheckpointDifference d = difference(a, b);
  EXPECT_EQ(d.equal, 1);
  ASSERT_EQ(d.tensors.size(), 4u);
  EXPECT_EQ(d.tensors[0].name, "broken");
  EXPECT_TRUE(std::isnan(d.tensors[0].relative) && std::isnan(d.tensors[0].most));
  EXPECT_EQ(d.tensors[1].name, "from_zero");
  EXPECT_TRUE(std::isinf(d.tensors[1].relative));
  EXPECT_EQ(d.tensors[2].name, "much");
  EXPECT_DOUBLE_EQ(d.tensors[2].relative, 2);
  EXPECT_DOUBLE_EQ(d.tensors[2].most, 2);
  EXPECT_EQ(d.tensors[3].name, "little");
  EXPECT_DOUBLE_EQ(d.tensors[3].relative, 0.1);
  EXPECT_DOUBLE_EQ(d.tensors[3].most, 0.5);
  EXPECT_EQ(d.only_a, std::vector<std::string>{"first"});
  EXPECT_EQ(d.only_b, std::vector<std::string>{"second"});
  ASSERT_EQ(d.shapes.size(), 1u);
  EXPECT_EQ(d.shapes[0].name + d.shapes[0].a + d.shapes[0].b, "shape[2, 3][3, 2]");
}

TEST_F(DifferenceTest, SettingsAndMeta) {
  CheckpointMeta first = meta(R"({"layers":2,"norm":"rms","tied":true})", "[optimizer]\nlr = 0.1\n[train]\nseed = 3\n");
  CheckpointMeta second =
      meta(R"({"layers":3,"norm":"rms","tied":true,"more":1})", "[optimizer]\nlr = 0.2\n[train]\nseed = 3\n");
  second.step = 6, second.val_loss = 2.5, second.tokenizer_hash = "ab";
  const std::vector<Named> tensors = {{"x", {2}, {3, 4}}};
  const CheckpointDifference d = difference(checkpoint("a", tensors, first), checkpoint("b", tensors, second));
  const auto line = [](const CheckpointDifference::Text& t) { return t.name + " " + t.a + " " + t.b; };
  std::vector<std::string> all;
  for (const auto* part : {&d.facts, &d.model, &d.settings})
    for (const auto& t : *part) all.push_back(line(t));
  EXPECT_EQ(all, (std::vector<std::string>{"step 5 6", "val_loss  2.5", "tokenizer  ab", "layers 2 3", "more  1",
                                           "lr 0.1 0.2"}));
  EXPECT_EQ(d.equal, 1);
  EXPECT_EQ(d.relative, 0);
  EXPECT_TRUE(d.tensors.empty());
}

}  // namespace
}  // namespace rw::test
