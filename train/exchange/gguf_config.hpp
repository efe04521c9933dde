// A model's configuration and the keys of a GGUF file, architecture llama.
#pragma once
#include "layers/transformer/config.hpp"
#include "train/exchange/gguf.hpp"

namespace rw {

// With rope layout half. Throws UserError(Exit::data), naming the key or tensor, for whatever is asked for that
// Ropewalk does not compute, for keys "llama.*" that are not known, and for sizes without tensors that could have them.
ModelConfig gguf_config(const GgufFile& file);

// The keys, of the types that other programs want: counts u32, the rest f32. Throws UserError(Exit::usage), naming the
// setting, for what the architecture does not have, or llama.cpp computes otherwise: norm layer, mlp gelu, qk_norm,
// positions other than rope, and rules other than plain, linear, yarn with its default ramp, and what is one of these.
GgufFields gguf_fields(const ModelConfig& config);

}  // namespace rw
