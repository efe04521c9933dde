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
  int64_t head_rows = 0;           // > 0: the rows of each head, so many, are in another order than ours:
  bool interleave = false;         // pairs (2c, 2c + 1) where ours are (c, c + d/2); false: the other way round
};

// All tensors of such a model. rw::Error if the naming has no place for one (callers have refused that before).
std::vector<MappedTensor> tensor_map(const ModelConfig& config, Naming naming);

// The parameters of a bound f32 model, by the names of their parts.
std::map<std::string, View> parts_by_name(Model& model);

// bf16 if the checkpoint has all parts of it so, else f32. `stored`: of LoadedModel.
ValueType stored_type(const MappedTensor& tensor, const std::map<std::string, DType, std::less<>>& stored);

// The type of the largest, which is that of most of a model.
ValueType main_type(std::span<const OutgoingTensor> tensors);

// What is to be written, each tensor in the type that type_of says. `parts` have to live as long.
std::vector<OutgoingTensor> outgoing(std::span<const MappedTensor> map, const std::map<std::string, View>& parts,
                                     const std::function<ValueType(const MappedTensor&)>& type_of);

// Throws UserError(Exit::data) unless theirs are the tensors of the map, in their shapes: names what is missing, left
// over or different. `source` is for messages.
void check_tensors(const std::string& source, std::span<const ForeignTensor> theirs, std::span<const MappedTensor> map);

// The parameters from their tensors, which have been checked.
void take_values(std::span<const ForeignTensor> theirs, std::span<const MappedTensor> map,
                 const std::map<std::string, View>& parts);

}  // namespace rw
