// A small state, and what a checkpoint of it must give back.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/memory/memory.hpp"
#include "tests/support/files.hpp"
#include "train/checkpoint/checkpoint.hpp"

namespace rw::test {

// Random bits, so also NaNs with payloads, infinities, denormals and negative zeros. One tensor of rank 1, one of rank
// 3, one that is cut into parts by columns (so its rows are strided).
class State {
 public:
  explicit State(DType dtype, unsigned seed, bool moments = true) {
    const Shape shapes[] = {{7, 5}, {1030, 3}, {11}, {2, 3, 4}, {1, 1}};
    for (const Shape& shape : shapes)
      add("layers." + std::to_string(tensors.size()) + ".weight", shape, dtype, moments);
    const Shape wide{6, 10};
    const View value = buffer(wide, dtype), m = moments ? buffer(wide, dtype) : View{},
               v = moments ? buffer(wide, dtype) : View{};
    for (int64_t half : {0, 5}) {
      const auto cut = [half](View whole) { return whole.empty() ? whole : columns(whole, half, 5); };
      tensors.push_back({"half." + std::to_string(half), cut(value), cut(m), cut(v)});
    }
    std::mt19937_64 random(seed);
    for (Buffer& b : buffers_) {
      const View view = b;
      const size_t bytes = static_cast<size_t>(view.shape.elements()) * size_of(dtype);
      for (size_t i = 0; i < bytes; ++i) view.data[i] = static_cast<std::byte>(random());
    }
  }

  std::vector<StateTensor> tensors;

  // All bytes, padding between rows included.
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> out;
    for (const Buffer& b : buffers_) {
      const CView view = b;
      out.insert(out.end(), view.data, view.data + static_cast<size_t>(view.shape.elements()) * size_of(view.dtype));
    }
    return out;
  }

 private:
  View buffer(Shape shape, DType dtype) {
    buffers_.emplace_back(Device{}, shape, dtype);
    return buffers_.back();
  }
  void add(std::string name, Shape shape, DType dtype, bool moments) {
    const View value = buffer(shape, dtype);
    View m, v;
    if (moments) m = buffer(shape, dtype), v = buffer(shape, dtype);
    tensors.push_back({std::move(name), value, m, v});
  }

  std::vector<Buffer> buffers_;
};

inline CheckpointMeta meta_of(int64_t step) {
  CheckpointMeta meta;
  meta.step = step;
  meta.tokens = step * 1000 + 1;
  meta.val_loss = 1.0 / 3.0;
  meta.state = {{"ema", 0.1}, {"seconds", 1e-300}, {"never", std::numeric_limits<double>::infinity()}};
  meta.model = R"({"layers": 2})";
  meta.settings = "seed = 1\n[model]\nname = \"ä\"\n";
  meta.tokenizer_hash = "91ab";
  meta.ends = {2, 400};
  meta.command = "ropewalk pretrain --lr '1e-3'";
  meta.version = "0.1.0";
  return meta;
}

inline const std::vector<TokenizerFile> kTokenizer = {{"tokenizer.model", std::string("a\0b\xff", 4)}, {"empty", ""}};

// What `checkpoint` holds, loaded into a state of the same shape.
inline std::vector<std::byte> loaded(const Checkpoint& checkpoint, DType dtype, bool moments = true) {
  State state(dtype, 999, moments);
  checkpoint.load(state.tensors);
  return state.bytes();
}

inline std::filesystem::path save(const std::filesystem::path& checkpoints, int64_t step, SaveOptions options = {}) {
  const State state(DType::f32, static_cast<unsigned>(step));
  const SavedCheckpoint saved = save_checkpoint(checkpoints, meta_of(step), state.tensors, kTokenizer, options);
  EXPECT_THAT(saved.warnings, testing::IsEmpty());
  return saved.folder;
}

inline bool holds(const Checkpoint& checkpoint, int64_t step) {
  return checkpoint.meta() == meta_of(step) &&
         loaded(checkpoint, DType::f32) == State(DType::f32, static_cast<unsigned>(step)).bytes();
}

inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace rw::test
