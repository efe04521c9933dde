// The positions of config.json of Hugging Face, and ours.
//
// transformers 4 reads rope_theta and rope_scaling, 5 reads rope_parameters with rope_theta in it, and an old file as
// well. With R[c], N, s and m of frequencies.hpp and M = max_position_embeddings, its rope types are
//
//   default, linear   plain, linear
//   dynamic           dynamic with N = M
//   yarn              yarn, ramp index, blend arithmetic; factor null: M / N
//   llama3            llama3, low_freq_factor = beta_slow, high_freq_factor = beta_fast
//   longrope          longrope; factor null or absent: M / N
//   proportional      proportional (from 5 on)
//
// N = original_max_position_embeddings of the dictionary or of the file, else M. Sources: modeling_rope_utils.py of
// transformers 4.57 and 5.23; spec/positions.md 11.
#pragma once
#include "layers/transformer/config.hpp"
#include "train/exchange/json_keys.hpp"

namespace rw {

// Sets rope, trained_context and, where all layers have a sliding window (Qwen2 and Qwen3), positions of a model whose
// sizes are known; takes their keys. Throws UserError(Exit::data), naming the key: types and keys of a type that are
// not known; rotations or windows of some layers only; partial_rotary_factor where transformers ignores it or fails;
// two spellings that disagree; what rope_problem finds.
void take_hf_positions(JsonKeys& keys, const std::string& name, const std::string& model_type, ModelConfig& model);

// Into `out` the rule of those above, yarn with ramp index and blend arithmetic, that has the frequencies and the
// factor of the model's; if there is none, why, in words that fit after "Hugging Face has no ".
std::string to_hf_rule(const ModelConfig& model, RopeConfig& out);
// Why config.json has no keys for the positions, in words that fit after "Hugging Face has no "; empty if it has.
std::string hf_positions_problem(const ModelConfig& model);
// The keys, in the spellings of both, for a model without a problem.
nlohmann::ordered_json hf_positions(const ModelConfig& model);
// "4.43 and later, and 5": the versions of transformers that compute them.
std::string hf_versions(const ModelConfig& model);

// The plain rotary model with these weights: what is left when maps, masks, a rule and log n beyond are taken away.
// Throws UserError(Exit::usage) where the weights were trained for more than that: log n trained, key_norm, hwfa,
// hwfa2, no rotation, a share of the heads.
ModelConfig as_base_rope(const ModelConfig& model);

}  // namespace rw
