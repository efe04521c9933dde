// Which checkpoint is taken, what is refused, and what damage does.
#include <fstream>

#include "tests/support/bad_files.hpp"
#include "train/checkpoint/checkpoint_test.hpp"

namespace rw {
namespace {

using namespace test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

struct SavedRun : TemporaryFolder {
  fs::path checkpoints = path() / "checkpoints";
  SavedRun() {
    for (int64_t step : {100, 200, 300}) save(checkpoints, step, {.keep = 9, .best = step == 200});
  }
};

void flip(const fs::path& file, size_t at) {
  std::string bytes = read_file(file);
  bytes.at(at) ^= 1;
  write_file(file, bytes);
}

TEST(CheckpointOpen, TakesARunAFolderAFileOrAName) {
  const SavedRun run;
  for (const fs::path& path :
       {run.path(), run / "", run.checkpoints, run.checkpoints / "step-000300", run.checkpoints / "step-000300" / "",
        run.checkpoints / "step-000300/checkpoint.h5", run.checkpoints / "latest"}) {
    std::vector<std::string> skipped;
    EXPECT_TRUE(holds(Checkpoint::open(path, &skipped), 300)) << path;
    EXPECT_THAT(skipped, IsEmpty());
  }
  EXPECT_TRUE(holds(Checkpoint::open(run.checkpoints / "best"), 200));
  EXPECT_TRUE(holds(Checkpoint::open(run.checkpoints / "step-000100"), 100));
  EXPECT_EQ(Checkpoint::open(run.path()).folder(), run.checkpoints / "step-000300");
  fs::rename(run.checkpoints / "step-000100", run / "kept");  // a copy under another name
  EXPECT_TRUE(holds(Checkpoint::open(run / "kept"), 100));
}

TEST(CheckpointOpen, FallsBackAndSaysWhy) {
  const SavedRun run;
  flip(run.checkpoints / "step-000300/checkpoint.h5", 5000);
  std::vector<std::string> skipped;
  EXPECT_TRUE(holds(Checkpoint::open(run.path(), &skipped), 200));
  EXPECT_THAT(skipped, ElementsAre(AllOf(HasSubstr("step-000300"), HasSubstr("is damaged"))));
  fs::remove(run.checkpoints / "step-000200/checkpoint.h5.manifest.json");
  skipped.clear();
  EXPECT_TRUE(holds(Checkpoint::open(run.path(), &skipped), 100));
  EXPECT_THAT(skipped, ElementsAre(HasSubstr("step-000300"), AllOf(HasSubstr("step-000200"), HasSubstr("manifest"))));
  fs::remove(run.checkpoints / "step-000100/checkpoint.h5");
  const auto error = user_error_of([&] { Checkpoint::open(run.path()); });
  EXPECT_EQ(error.code, Exit::corrupt);
  EXPECT_THAT(error.advice, AllOf(HasSubstr("step-000300"), HasSubstr("step-000200"), HasSubstr("step-000100")));
  // Named itself, a damaged checkpoint is an error, and no other is taken.
  for (const char* name : {"step-000300", "step-000200", "step-000100", "latest", "best"})
    EXPECT_EQ(user_error_of([&] { Checkpoint::open(run.checkpoints / name); }).code, Exit::corrupt) << name;
}

TEST(CheckpointOpen, ACheckpointUnderTheNameOfAnotherIsDamage) {
  const SavedRun run;
  fs::remove_all(run.checkpoints / "step-000300");
  fs::rename(run.checkpoints / "step-000100", run.checkpoints / "step-000300");
  std::vector<std::string> skipped;
  EXPECT_TRUE(holds(Checkpoint::open(run.path(), &skipped), 200));
  EXPECT_THAT(skipped, ElementsAre(HasSubstr("another name")));
}

TEST(CheckpointOpen, ANameOfNothingIsSaid) {
  const SavedRun run;
  fs::remove_all(run.checkpoints / "step-000300");
  std::vector<std::string> skipped;
  EXPECT_TRUE(holds(Checkpoint::open(run.path(), &skipped), 200));
  EXPECT_THAT(skipped, ElementsAre(AllOf(HasSubstr("step-000300"), HasSubstr("latest"))));
  for (const char* text : {"", "\n", "../../etc", "step-000300/..", "step-3", "step-000300 "}) {
    write_file(run.checkpoints / "latest", text);
    EXPECT_EQ(user_error_of([&] { Checkpoint::open(run.checkpoints / "latest"); }).code, Exit::corrupt) << text;
    EXPECT_TRUE(holds(Checkpoint::open(run.path()), 200));
  }
}

TEST(CheckpointOpen, UnfinishedAndForeignFoldersAreNotLookedAt) {
  const SavedRun run;
  for (const char* name : {"step-000400.tmp-1", "step-000500.tmp-1-removed", "step-7", "step-", "step-00x400", "other",
                           "step-000000000000000000000000400"})
    fs::copy(run.checkpoints / "step-000100", run.checkpoints / name);
  std::vector<std::string> skipped;
  EXPECT_TRUE(holds(Checkpoint::open(run.path(), &skipped), 300));
  EXPECT_THAT(skipped, IsEmpty());
}

// No byte of a pickle is executed: it is not opened at all.
TEST(CheckpointOpen, PicklesAreRefused) {
  const TemporaryFolder folder;
  const std::pair<std::string, std::string> cases[] = {
      {"zip.pt", "PK\x03\x04" + std::string(100, '\0')},   {"legacy.pt", "\x80\x02\x8a\x0a" + std::string(100, 'x')},
      {"p4.pkl", "\x80\x04\x95" + std::string(100, 'x')},  {"p5.ckpt", "\x80\x05."},
      {"step-000100", "\x80\x03" + std::string(100, 'x')},
  };
  BadFiles files("pickle");
  for (const auto& [name, bytes] : cases) {
    const std::filesystem::path path = folder / name;
    write_file(path, bytes);
    const auto error = files.refusal(name, [&] { Checkpoint::open(path); });
    EXPECT_EQ(error.code, Exit::data) << name;
    EXPECT_THAT(error.what + '\n' + error.advice,
                AllOf(HasSubstr("pickle"), HasSubstr("not opened"), HasSubstr("safetensors")))
        << name;
  }
  fs::remove(folder / "step-000100");
  const auto error = user_error_of([&] { Checkpoint::open(folder.path()); });  // a folder with some in it
  EXPECT_THAT(error.what, HasSubstr("pickle"));
}

TEST(CheckpointOpen, OtherThingsAreRefusedAndNamed) {
  const TemporaryFolder folder;
  BadFiles files("not a checkpoint");
  const auto error_at = [&](const fs::path& path) {
    const auto error = files.refusal(path.filename().string(), [&] { Checkpoint::open(path); });
    EXPECT_EQ(error.code, Exit::data) << path;
    return error.what + '\n' + error.advice;
  };
  EXPECT_THAT(error_at(folder / "gone"), HasSubstr("there is no"));
  EXPECT_THAT(error_at(folder.path()), HasSubstr("holds no checkpoint"));
  fs::create_directories(folder / "run/checkpoints");
  EXPECT_THAT(error_at(folder / "run"), HasSubstr("has not saved one yet"));
  for (const char* bytes : {"", "x", "some text that is long enough"}) {
    write_file(folder / "text", bytes);
    EXPECT_THAT(error_at(folder / "text"), HasSubstr("is not a checkpoint"));
  }
  write_file(folder / "m.gguf", "GGUF\x03" + std::string(20, '\0'));
  EXPECT_THAT(error_at(folder / "m.gguf"), HasSubstr("ropewalk import gguf"));
  fs::create_directories(folder / "hf");
  write_file(folder / "hf/model.safetensors", "\x10\0\0\0\0\0\0\0{}");
  EXPECT_THAT(error_at(folder / "hf"), HasSubstr("ropewalk import hf"));
  EXPECT_THAT(error_at(folder / "hf/model.safetensors"), HasSubstr("ropewalk import hf"));
  write_file(folder / "foreign.h5", "\x89HDF\r\n\x1a\n" + std::string(100, '\0'));
  EXPECT_THAT(error_at(folder / "foreign.h5"), HasSubstr("no manifest"));
  EXPECT_THAT(error_at("/dev/null"), HasSubstr("not a regular file"));

  const std::vector<std::byte> tokens(16);
  const ContainerItem token_file[] = {{"/tokens", FileType::u16, {8}, tokens, {}}};
  write_container(folder / "train.h5", token_file);
  EXPECT_THAT(error_at(folder / "train.h5"), AllOf(HasSubstr("is not a checkpoint"), HasSubstr("/tokens")));
  const ContainerItem other_meta[] = {text_item("/meta", R"({"format": "tokens"})")};
  write_container(folder / "other.h5", other_meta);
  EXPECT_THAT(error_at(folder / "other.h5"), HasSubstr("is not a checkpoint"));
  const ContainerItem newer[] = {text_item("/meta", R"({"format": "ropewalk checkpoint", "format_version": 2})")};
  write_container(folder / "newer.h5", newer);
  EXPECT_THAT(error_at(folder / "newer.h5"), HasSubstr("version 2"));
}

// Sealed files, but not such as save_checkpoint makes.
TEST(CheckpointOpen, SealedNonsenseIsRefused) {
  const TemporaryFolder folder;
  const State state(DType::f32, 1);
  const auto saved = save_checkpoint(folder.path(), meta_of(1), state.tensors, {});
  const std::string text(Container::open(saved.folder / "checkpoint.h5").text("/meta"));
  const std::vector<std::byte> bytes(64);
  const auto code_of = [&](std::string meta, std::vector<ContainerItem> items) {
    items.push_back(text_item("/meta", meta));
    write_container(folder / "x.h5", items);
    return user_error_of([&] { Checkpoint::open(folder / "x.h5"); }).code;
  };
  const auto four = [&](std::string path, FileType type = FileType::f32) {
    return ContainerItem{path, type, {4}, std::span(bytes).first(4 * size_of(type)), {}};
  };
  EXPECT_EQ(code_of(text, {four("/model/a"), four("/optim/m/a"), four("/optim/v/a")}), Exit::ok);
  EXPECT_EQ(code_of(text, {four("/model/a"), four("/optim/m/b")}), Exit::corrupt);
  EXPECT_EQ(code_of(text, {four("/model/a"), {"/optim/m/a", FileType::f32, {3}, std::span(bytes).first(12), {}}}),
            Exit::corrupt);
  EXPECT_EQ(code_of(text, {four("/model/a", FileType::u16)}), Exit::data);
  EXPECT_EQ(code_of(text, {{"/model/a", FileType::f32, {}, std::span(bytes).first(4), {}}}), Exit::data);
  EXPECT_EQ(code_of(text, {{"/model/a", FileType::f32, {1, 1, 1, 1, 1}, std::span(bytes).first(4), {}}}), Exit::data);
  EXPECT_EQ(code_of("[", {}), Exit::data);
  EXPECT_EQ(code_of("[1]", {}), Exit::data);
  for (const char* field : {"step", "tokens", "val_loss", "state", "model", "settings", "parent"}) {
    std::string broken = text;
    broken.replace(broken.find('"' + std::string(field)), 2, "\"X");
    EXPECT_EQ(code_of(broken, {}), Exit::corrupt) << field;
  }
}

// Damage of the newest of two: the loader must give that one whole, or the older one, and never anything else.
TEST(CheckpointOpen, ThreeHundredDamagedCheckpoints) {
  const TemporaryFolder run;
  save(run / "checkpoints", 100, {.keep = 9});
  const fs::path newest = save(run / "checkpoints", 200, {.keep = 9}), older = run / "checkpoints/step-000100";
  const fs::path file = newest / "checkpoint.h5", manifest = newest / "checkpoint.h5.manifest.json";
  const std::string good = read_file(file), good_manifest = read_file(manifest);
  const std::string other = read_file(older / "checkpoint.h5"),
                    other_manifest = read_file(older / "checkpoint.h5.manifest.json");

  using Random = std::mt19937;
  const auto below = [](Random& r, size_t n) { return static_cast<size_t>(r() % n); };
  const auto flip_bit = [&](Random& r, std::string& s, size_t range) {
    s[below(r, range)] ^= static_cast<char>(1 << r() % 8);
  };
  using Damage = std::function<void(Random&, std::string&, std::string&)>;
  const std::pair<const char*, Damage> kinds[] = {
      {"bit", [&](Random& r, std::string& f, std::string&) { flip_bit(r, f, f.size()); }},
      {"bit of metadata", [&](Random& r, std::string& f, std::string&) { flip_bit(r, f, 4096); }},
      {"byte", [&](Random& r, std::string& f, std::string&) { f[below(r, f.size())] = static_cast<char>(r()); }},
      {"truncated", [&](Random& r, std::string& f, std::string&) { f.resize(below(r, f.size())); }},
      {"grown", [&](Random& r, std::string& f, std::string&) { f.append(1 + below(r, 9000), static_cast<char>(r())); }},
      {"zeroed block",
       [&](Random& r, std::string& f, std::string&) { f.replace(below(r, f.size() / 4096) * 4096, 4096, 4096, '\0'); }},
      {"swapped blocks",
       [&](Random& r, std::string& f, std::string&) {
         const size_t a = below(r, f.size() / 4096) * 4096, b = below(r, f.size() / 4096) * 4096;
         std::swap_ranges(f.begin() + static_cast<long>(a), f.begin() + static_cast<long>(std::min(a + 4096, f.size())),
                          f.begin() + static_cast<long>(b));
       }},
      {"bit of the manifest", [&](Random& r, std::string&, std::string& m) { flip_bit(r, m, m.size()); }},
      {"digit of the manifest",
       [&](Random& r, std::string&, std::string& m) {
         size_t at;
         do at = below(r, m.size());
         while (m[at] < '0' || m[at] > '9');
         m[at] = static_cast<char>('0' + (m[at] - '0' + 1 + static_cast<int>(r() % 9)) % 10);
       }},
      {"truncated manifest", [&](Random& r, std::string&, std::string& m) { m.resize(below(r, m.size())); }},
      {"line of the manifest gone",
       [&](Random& r, std::string&, std::string& m) {
         const size_t at = m.find('\n', below(r, m.size() / 2));
         m.erase(at, m.find('\n', at + 1) - at);
       }},
      {"file of another step", [&](Random&, std::string& f, std::string&) { f = other; }},
      {"manifest of another step", [&](Random&, std::string&, std::string& m) { m = other_manifest; }},
      {"both of another step", [&](Random&, std::string& f, std::string& m) { f = other, m = other_manifest; }},
      {"stale half",
       [&](Random& r, std::string& f, std::string&) {
         const size_t cut = below(r, std::min(f.size(), other.size()));
         f = f.substr(0, cut) + other.substr(cut);
       }},
  };
  int tries = 0, equal = 0, fell_back = 0, silent = 0, lost = 0;
  for (unsigned seed = 0; seed < 20; ++seed)
    for (const auto& [name, damage] : kinds) {
      Random random(seed * 1000 + static_cast<unsigned>(tries));
      std::string f = good, m = good_manifest;
      damage(random, f, m);
      write_file(file, f);
      write_file(manifest, m);
      ++tries;
      try {
        std::vector<std::string> skipped;
        const Checkpoint checkpoint = Checkpoint::open(run.path(), &skipped);
        if (holds(checkpoint, 200) && skipped.empty())
          ++equal;
        else if (holds(checkpoint, 100) && skipped.size() == 1)
          ++fell_back;
        else
          ++silent, ADD_FAILURE() << name << ", seed " << seed;
        EXPECT_EQ(checkpoint.meta().step == 200, f == good && m == good_manifest) << name << ", seed " << seed;
      } catch (const UserError& error) {
        ++lost;
        ADD_FAILURE() << name << ", seed " << seed << ": " << error.what();
      }
    }
  std::printf("%d damaged checkpoints: %d equal all the same, %d fell back, %d silently wrong, %d lost\n", tries, equal,
              fell_back, silent, lost);
  EXPECT_EQ(tries, 300);
  EXPECT_GT(fell_back, 290);
}

}  // namespace
}  // namespace rw
