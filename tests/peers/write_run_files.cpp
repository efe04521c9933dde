// Writes token files and a checkpoint for run_files_peer.py:
//   write_run_files FOLDER TRAIN.txt VAL.txt
// learns a vocabulary from TRAIN, and writes FOLDER/data/{train,val}.h5 and FOLDER/checkpoints/step-000007.
#include <cstdio>
#include <numeric>

#include "core/memory/memory.hpp"
#include "data/prepare.hpp"
#include "data/tokenizer/train_sentencepiece.hpp"
#include "train/checkpoint/checkpoint.hpp"

namespace {

// Element i is first + i / 8.
rw::View ramp(const rw::Buffer& buffer, float first) {
  const rw::View view = buffer;
  float* at = view.as<float>()[0];
  for (int64_t i = 0; i < view.shape.elements(); ++i) at[i] = first + static_cast<float>(i) / 8;
  return view;
}

void write(const std::filesystem::path& folder, const std::filesystem::path& train, const std::filesystem::path& val) {
  const auto trained = rw::train_sentencepiece(std::span(&train, 1), {}, 400);
  rw::prepare(std::span(&train, 1), *trained.tokenizer, folder / "data",
              {.documents = {.separated = true, .separator = "%"}, .val_files = {val}});
  const rw::Shape shape{3, 5};
  const rw::Buffer value({}, shape, rw::DType::f32), m({}, shape, rw::DType::f32), v({}, shape, rw::DType::f32);
  const rw::StateTensor tensors[] = {{"model.norm.weight", ramp(value, 0), ramp(m, 100), ramp(v, 200)}};
  rw::CheckpointMeta meta;
  meta.step = 7;
  meta.model = "{}";
  meta.tokenizer_hash = trained.tokenizer->hash();
  rw::save_checkpoint(folder / "checkpoints", meta, tensors, std::span(&trained.tokenizer->file(), 1));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) return 2;
  write(argv[1], argv[2], argv[3]);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
