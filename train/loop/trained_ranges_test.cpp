#include "train/loop/trained_ranges.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "tests/support/model.hpp"

namespace rw::test {
namespace {

using testing::HasSubstr;

struct Ranges : testing::Test {
  Model model{tiny_config()};
  ParamLayout layout = lay_out_parameters(model);

  TrainedRanges of(std::string_view freeze) { return trained_ranges(model, layout, freeze); }

  // For every tensor, by name: how many of its numbers lie in trained ranges. No range may overlap another.
  std::map<std::string, int64_t> trained(const TrainedRanges& ranges) {
    std::vector<int> marks(static_cast<size_t>(layout.elements));
    std::vector<bool> decay(marks.size());
    for (const auto& [list, mark] : {std::pair{&ranges.trained, 1}, {&ranges.frozen, 2}})
      for (const ParamRange& range : *list)
        for (int64_t i = range.offset; i < range.offset + range.count; ++i) {
          EXPECT_EQ(marks.at(static_cast<size_t>(i)), 0);
          marks[static_cast<size_t>(i)] = mark;
          decay[static_cast<size_t>(i)] = range.decay;
        }
    std::map<std::string, int64_t> out;
    size_t next = 0;
    model.each([&](const Param& p) {
      auto at = static_cast<size_t>(layout.ranges[next++].offset);
      for (const Param::Part& part : p.parts)
        for (int64_t i = 0; i < part.rows * p.shape.elements() / p.shape.dim[0]; ++i, ++at) {
          EXPECT_NE(marks[at], 0) << part.name;
          EXPECT_EQ(decay[at], p.decay) << part.name;
          out[part.name] += marks[at] == 1;
        }
    });
    return out;
  }
};

TEST_F(Ranges, WithoutPatternsAllIsTrained) {
  const TrainedRanges all = of("");
  EXPECT_TRUE(all.frozen.empty());
  EXPECT_EQ(all.trained_count, parameter_count(model.config));
  EXPECT_EQ(all.count, all.trained_count);
  for (const auto& [name, count] : trained(all)) EXPECT_GT(count, 0) << name;
  for (size_t i = 1; i < all.trained.size(); ++i) EXPECT_NE(all.trained[i].decay, all.trained[i - 1].decay);
}

TEST_F(Ranges, PatternsFreezeTensorsAndPartsOfJoinedOnes) {
  const auto all = trained(of(""));
  for (const auto& [freeze, pattern] :
       std::vector<std::pair<std::string, std::string>>{{"model.layers.0.*", "model.layers.0."},
                                                        {"*.k_proj.weight", ".k_proj."},
                                                        {"*q_proj*, *v_proj*", "q_proj|v_proj"},
                                                        {"model.embed_tokens.weight", "model.embed_tokens.weight"},
                                                        {"model.layers.[01].mlp.?p_proj.weight", ".up_proj."},
                                                        {"*norm*", "norm"}}) {
    const TrainedRanges ranges = of(freeze);
    int64_t sum = 0;
    for (const auto& [name, count] : trained(ranges)) {
      bool frozen = false;
      std::istringstream words(pattern);
      for (std::string word; std::getline(words, word, '|');) frozen |= name.find(word) != std::string::npos;
      EXPECT_EQ(count, frozen ? 0 : all.at(name)) << freeze << ": " << name;
      sum += count;
    }
    EXPECT_EQ(ranges.trained_count, sum);
    EXPECT_EQ(ranges.count, parameter_count(model.config));
    EXPECT_LT(ranges.trained_count, ranges.count);
  }
}

TEST_F(Ranges, PatternsThatMakeNoSenseAreRefused) {
  const auto error = [&](const char* freeze) { return user_error_of([&] { of(freeze); }); };
  const auto near = error("model.embed_tokens.*,model.layer.0.*");
  EXPECT_EQ(near.code, Exit::usage);
  EXPECT_EQ(near.what, "freeze: no tensor of the model matches 'model.layer.0.*'");
  EXPECT_THAT(near.advice, HasSubstr("did you mean 'model.layers.0.*'?"));
  EXPECT_THAT(error("model.embed_token.weight").advice, HasSubstr("did you mean 'model.embed_tokens.weight'?"));
  EXPECT_THAT(error("zzz").advice, HasSubstr("names are like model.embed_tokens.weight, model.layers.0."));
  EXPECT_EQ(error("*").what, "freeze: nothing is left to train");
  EXPECT_EQ(error("model.norm.*,,lm_head").what, "freeze has an empty pattern");
}

}  // namespace
}  // namespace rw::test
