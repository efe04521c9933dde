// The logits of a checkpoint, for hf_peer.py:
//   write_logits CHECKPOINT LOGITS.npy ID ...
// writes f32 [tokens, V] after the given ids, at positions 0, 1, ...
#include <cstdio>
#include <string>

#include "train/checkpoint/load_model.hpp"
#include "train/loop/npy.hpp"
#include "train/loop/workspace.hpp"

namespace {

void write(const std::string& checkpoint, const std::string& file, int count, const char* const* ids) {
  const rw::LoadedModel loaded = rw::load_model(checkpoint, count);
  const rw::Buffer token({}, {1, count}, rw::DType::i32), position({}, {1, count}, rw::DType::i32);
  for (int i = 0; i < count; ++i) {
    token.view().as<int32_t>().data[i] = std::stoi(ids[i]);
    position.view().as<int32_t>().data[i] = i;
  }
  const int64_t vocab = loaded.model.config.vocab;
  const rw::Buffer logits({}, {count, vocab}, rw::DType::f32);
  const rw::Batch batch{.token = token, .target = {}, .position = position, .first_key = {}};
  const std::function<void(rw::Ctx&)> work[] = {[&](rw::Ctx& ctx) { loaded.model.logits(ctx, logits, batch); }};
  rw::Workspace workspace({}, rw::measure({}, work));
  work[0](workspace.ctx);
  const uint64_t shape[] = {static_cast<uint64_t>(count), static_cast<uint64_t>(vocab)};
  rw::write_npy(file, {logits.view().as<float>().data, static_cast<size_t>(logits.view().shape.elements())}, shape);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) return 2;
  write(argv[1], argv[2], argc - 3, argv + 3);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
