#include "train/config/finetune.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "train/config/presets.hpp"

namespace rw {
namespace {

using test::user_error_of;
using testing::HasSubstr;

ModelConfig parent() {
  Settings s;
  apply_preset(find_preset("5m"), s);
  s.model.vocab = 5000, s.model.layers = 7, s.model.rope.base = 500, s.model.dropout = 0.1, s.model.qk_norm = true;
  return s.model;
}

ConfigLayer command_line(const std::vector<std::pair<std::string, std::string>>& values) {
  ConfigLayer layer;
  for (const auto& [name, text] : values) layer.assign(name, text, "--" + name, "command line");
  return layer;
}

FinetuneSettings with(const std::vector<std::pair<std::string, std::string>>& values, bool untrained = false) {
  return resolve_finetune(parent(), std::array{command_line(values)}, untrained);
}

TEST(Finetune, TheModelIsTheCheckpoints) {
  FinetuneSettings s = with({});
  EXPECT_EQ(s.resolved.settings.model, parent());
  EXPECT_EQ(s.model, parent());
  EXPECT_EQ(s.resolved.origins.at("layers"), "checkpoint");
  EXPECT_EQ(s.resolved.origins.at("rope_base"), "checkpoint");
  EXPECT_EQ(with({{"layers", "7"}, {"qk_norm", "true"}}).model, parent());  // what it is may be said
  for (const auto& [name, value, was] : {std::array{"layers", "6", "7"},
                                         {"vocab", "5001", "5k"},
                                         {"key_norm", "key", "none"},
                                         {"qk_norm", "false", "true"},
                                         {"norm", "layer", "rms"},
                                         {"tied", "false", "true"}}) {
    const std::vector<std::pair<std::string, std::string>> changes = {{name, value}};
    const auto error = user_error_of([&] { with(changes); });
    EXPECT_EQ(error.code, Exit::usage);
    EXPECT_EQ(error.what, std::string(name) + " is " + value + " (command line), the checkpoint's model has " + was);
    EXPECT_THAT(error.advice, HasSubstr("ropewalk pretrain"));
  }
  const auto size = user_error_of([] { with({{"size", "5m"}}); });
  EXPECT_EQ(size.what, "size is 5m (command line), and cannot be chosen");
}

TEST(Finetune, HasDefaultsOfItsOwn) {
  FinetuneSettings s = with({});
  const Preset& preset = find_preset("5m");
  EXPECT_EQ(s.resolved.settings.size, "5m");
  EXPECT_DOUBLE_EQ(s.resolved.settings.optimizer.lr, 0.1 * preset.lr);
  EXPECT_EQ(s.resolved.origins.at("lr"), "finetune default: a tenth of preset 5m");
  EXPECT_EQ(s.resolved.settings.train.batch, 32 * 512);
  EXPECT_EQ(s.resolved.origins.at("batch"), "finetune default: 32 sequences");
  set_finetune_length(s.resolved, 1000);
  EXPECT_EQ(s.resolved.settings.train.tokens, 2000);
  EXPECT_EQ(s.resolved.origins.at("tokens"), "finetune default: 2 epochs");

  FinetuneSettings given = with({{"lr", "1e-5"}, {"batch", "4k"}, {"steps", "7"}, {"dropout", "0"}});
  set_finetune_length(given.resolved, 1000);
  EXPECT_EQ(given.resolved.settings.optimizer.lr, 1e-5);
  EXPECT_EQ(given.resolved.settings.train.batch, 4096);
  EXPECT_EQ(given.resolved.settings.train.steps, 7);
  EXPECT_EQ(given.resolved.settings.train.tokens, 0);
  EXPECT_EQ(given.model.dropout, 0);

  ModelConfig large = parent();
  large.context = 8192;
  const FinetuneSettings few = resolve_finetune(large, {}, false);
  EXPECT_EQ(few.resolved.settings.train.batch, 4 * 8192);  // of the preset's 32768 tokens
}

TEST(Finetune, AContextMayBeShorter) {
  const FinetuneSettings shorter = with({{"context", "100"}});
  EXPECT_EQ(shorter.resolved.settings.model.context, 100);
  EXPECT_EQ(shorter.resolved.settings.train.batch, 3200);
  EXPECT_EQ(shorter.model.context, 512);
  EXPECT_EQ(shorter.model.rope.base, 500);

  const auto error = user_error_of([] { with({{"context", "1k"}}); });
  EXPECT_EQ(error.code, Exit::usage);
  EXPECT_EQ(error.what, "context is 1024 (command line), the model was trained up to 512");
  EXPECT_THAT(error.advice, HasSubstr("--allow-untrained-positions"));
  EXPECT_EQ(with({{"context", "1k"}}, true).model.context, 1024);

  ModelConfig learned = parent();
  learned.positions.kind = PositionKind::learned;
  const auto none = user_error_of([&] {
    resolve_finetune(learned, std::array{command_line({{"context", "1k"}})}, true);
  });
  EXPECT_EQ(none.what, "context is 1024 (command line), the model has learned positions up to 512");
}

TEST(Presets, TheNearest) {
  for (const Preset& preset : presets()) {
    Settings s;
    apply_preset(preset, s);
    s.model.vocab = preset.usual_vocab;
    EXPECT_EQ(nearest_preset(parameter_count(s.model)).name, preset.name);
  }
  EXPECT_EQ(nearest_preset(1).name, "1m");
  EXPECT_EQ(nearest_preset(int64_t{1} << 40).name, "350m");
}

}  // namespace
}  // namespace rw
