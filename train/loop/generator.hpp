// Text from a model, token by token, with cached keys and values.
#pragma once
#include <span>

#include "core/memory/mirror.hpp"
#include "layers/parameters.hpp"
#include "layers/transformer/model.hpp"

namespace rw {

struct SamplingOptions {
  double temperature = 1;  // logits are divided by it; 0: always the likeliest
  int64_t top_k = 0;       // only the k likeliest; 0: all
  double top_p = 1;        // only the likeliest that together have at least this probability
  uint64_t seed = 1;
};

// The id drawn from softmax(logits / temperature) among those that top_k and then top_p leave (ties: lower ids first).
// `index` of the draw: the draw is a pure function of seed and index.
int32_t draw_token(std::span<const double> logits, const SamplingOptions&, uint64_t index);

class Generator {
 public:
  // What append() computes at most, for sizing the arenas by a dry run.
  static void dry_run(Ctx&, const Model&, int64_t context);

  // A sequence in the arenas of ctx, with a context of so many tokens, the positions that the model is prepared for.
  // Both have to live as long.
  Generator(Ctx& ctx, const Model& model, int64_t context);

  // The sequence goes on with `ids`; returns the logits [V] after the last of them, valid until the next call. When the
  // context is full, the sequence goes on from its later half, at the positions 0, 1, ... again. Not so where the model
  // is endless(): it goes on as one, in caches that do not grow, up to 2^31 tokens.
  std::span<const double> append(std::span<const int32_t> ids);

 private:
  std::span<const double> append_without_end(std::span<const int32_t> ids);
  void feed(std::span<const int32_t> ids);
  std::span<const double> result();

  Ctx& ctx_;
  const Model& model_;
  int64_t context_;
  Mirror token_, position_, logits_;
  std::vector<Buffer> memory_;
  std::vector<KvCache> caches_;
  std::vector<int32_t> ids_;  // that the caches hold; none where the model is endless
  int64_t length_ = 0;        // of the sequence
  std::vector<double> result_;
};

}  // namespace rw
