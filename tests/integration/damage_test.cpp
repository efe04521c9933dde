// A damaged checkpoint is passed over with its reason, and the run goes on from the one before to the same end.
#include <gtest/gtest.h>

#include "tests/support/tiny_run.hpp"

namespace rw::test {
namespace {

namespace fs = std::filesystem;

struct Damage {
  const char* name;
  std::function<void(const fs::path&)> apply;  // to the folder of a checkpoint
};

void change(const fs::path& file, const std::function<void(std::string&)>& f) {
  std::string bytes = read_file(file);
  f(bytes);
  write_file(file, bytes);
}

const char *const kFile = "checkpoint.h5", *const kManifest = "checkpoint.h5.manifest.json";

std::vector<Damage> damages() {
  std::vector<Damage> all;
  for (const double at : {0.0, 0.1, 0.35, 0.6, 0.8, 0.999})  // superblock, headers, weights, moments, the end
    all.push_back({"flip", [at](const fs::path& p) {
                     change(p / kFile,
                            [&](std::string& b) { b[static_cast<size_t>(at * static_cast<double>(b.size()))] ^= 4; });
                   }});
  for (const double share : {0.0, 0.5, 0.99999})
    all.push_back({"truncate", [share](const fs::path& p) {
                     change(p / kFile, [&](std::string& b) {
                       b.resize(static_cast<size_t>(share * static_cast<double>(b.size())));
                     });
                   }});
  all.push_back({"grow", [](const fs::path& p) { change(p / kFile, [](std::string& b) { b += "more"; }); }});
  all.push_back({"zero a block", [](const fs::path& p) {
                   change(p / kFile, [](std::string& b) { b.replace(4096 * 12, 4096, 4096, '\0'); });
                 }});
  all.push_back({"no manifest", [](const fs::path& p) { fs::remove(p / kManifest); }});
  all.push_back({"no file", [](const fs::path& p) { fs::remove(p / kFile); }});
  all.push_back({"manifest flipped",
                 [](const fs::path& p) { change(p / kManifest, [](std::string& b) { b[b.size() / 3] ^= 1; }); }});
  all.push_back({"manifest cut",
                 [](const fs::path& p) { change(p / kManifest, [](std::string& b) { b.resize(b.size() / 2); }); }});
  all.push_back({"empty folder", [](const fs::path& p) { fs::remove_all(p), fs::create_directory(p); }});
  return all;
}

struct DamageTest : TinyRuns {
  void SetUp() override {
    // A run that ended after step 8, and what it was when it had saved steps 4, 5 and 6.
    whole("reference", {"--steps", "8", "--keep", "8"});
    fs::copy(folder / "reference", folder / "part", fs::copy_options::recursive);
    for (const char* name : {"step-000001", "step-000002", "step-000003", "step-000007", "step-000008", "best"})
      fs::remove_all(folder / "part" / "checkpoints" / name);
    write_file(folder / "part" / "checkpoints" / "latest", "step-000006\n");
  }
  fs::path newest() const { return folder / "run" / "checkpoints" / "step-000006"; }
  void begin() const {
    fs::remove_all(folder / "run");
    fs::copy(folder / "part", folder / "run", fs::copy_options::recursive);
  }
};

TEST_F(DamageTest, AnOlderCheckpointIsTakenToTheSameEnd) {
  const RunState expected = state_of(folder / "reference");
  for (const Damage& damage : damages()) {
    SCOPED_TRACE(damage.name);
    begin();
    damage.apply(newest());
    const Finished done = at({"resume", "run"});
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_NE(done.err.find("resumed in run after step 5"), std::string::npos) << done.err;
    EXPECT_NE(done.err.find("\nwarning: passed over run/checkpoints/step-000006"), std::string::npos) << done.err;
    EXPECT_TRUE(state_of(folder / "run") == expected);
    EXPECT_EQ(metrics_of(folder / "run"), metrics_of(folder / "reference"));
    EXPECT_EQ(newest_step("run"), 8);
  }
  std::printf("%zu damages\n", damages().size());
}

TEST_F(DamageTest, OtherCommandsSayWhatTheyPassOver) {
  begin();
  damages()[2].apply(newest());
  for (const Words& arguments :
       {Words{"eval", "run", "--data", "data"}, {"generate", "run", "-n", "3"}, {"inspect", "run"}}) {
    const Finished done = at(arguments);
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_TRUE(done.err.starts_with("warning: passed over run/checkpoints/step-000006")) << done.err;
  }
}

TEST_F(DamageTest, WithoutAGoodCheckpointNothingIsTouched) {
  for (const Damage& damage : damages()) {
    SCOPED_TRACE(damage.name);
    begin();
    for (const char* name : {"step-000004", "step-000005", "step-000006"})
      damage.apply(folder / "run" / "checkpoints" / name);
    const Finished done = at({"resume", "run"});
    EXPECT_EQ(done.exit, 7) << done.err;
    EXPECT_TRUE(done.err.starts_with("error: run/checkpoints holds no good checkpoint\n")) << done.err;
    for (const char* name : {"step-000004", "step-000005", "step-000006"}) {
      EXPECT_NE(done.err.find(std::string("       run/checkpoints/") + name), std::string::npos) << done.err;
      EXPECT_TRUE(fs::exists(folder / "run" / "checkpoints" / name));
    }
    EXPECT_EQ(read_file(folder / "run" / "run.toml"), read_file(folder / "part" / "run.toml"));
    EXPECT_EQ(read_file(folder / "run" / "metrics.jsonl"), read_file(folder / "part" / "metrics.jsonl"));
  }
}

}  // namespace
}  // namespace rw::test
