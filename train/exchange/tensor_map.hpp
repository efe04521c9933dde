// How a model's tensors are called and laid out elsewhere. One list serves import and export.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "layers/transformer/model.hpp"
#include "train/exchange/safetensors.hpp"

namespace rw {

// llama: Hugging Face's names, which are ours; rotary pairs (c, c + d/2). Also those of Qwen2 and Qwen3.
// gpt2:  Hugging Face's GPT-2: query, key and value in one matrix, matrices [in, out].
// gguf:  GGUF's architecture llama: rotary pairs (2c, 2c + 1).
enum class Naming { llama, gpt2, gguf };

// A tensor of theirs, made of one or more of ours, whose rows lie one under the other.
struct MappedTensor {
  std::string name;
  std::vector<uint64_t> shape;     // theirs
  std::vector<std::string> parts;  // names of ours
  bool transposed = false;         // theirs is [in, out]
  int64_t head_rows = 0;           // > 0: the rows of each head, so many, are in the other order of rotary pairs
};

// All tensors of such a model. rw::Error if the naming has no place for one (callers have refused that before).
std::vector<MappedTensor> tensor_map(const ModelConfig& config, Naming naming);

// The parameters of a bound f32 model, by the names of their parts.
std::map<std::string, View> parts_by_name(Model& model);

// What is to be written, in `type` where it has rank 2 or more and in `vectors` else. `parts` have to live as long.
std::vector<OutgoingTensor> outgoing(std::span<const MappedTensor> map, const std::map<std::string, View>& parts,
                                     ValueType type, ValueType vectors);

// Every parameter of the model from their tensors. Throws UserError(Exit::data) that names them: missing, left over
// (but for those of `ignored`), of another shape. `source` is for messages.
void take_values(const std::string& source, std::span<const ForeignTensor> theirs, std::span<const MappedTensor> map,
                 const std::map<std::string, View>& parts);

}  // namespace rw
