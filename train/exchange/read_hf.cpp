#include <algorithm>

#include "core/base/user_error.hpp"
#include "core/file/file.hpp"
#include "core/file/json.hpp"
#include "data/tokenizer/kinds.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/hf_config.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kMostConfig = 16 << 20, kMostTokenizer = 256 << 20;

// Buffers of old files: masks of GPT-2 and tables of rotation, which follow from the configuration.
bool is_buffer(std::string_view name, Naming naming) {
  return naming == Naming::gpt2 ? name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
                                : name.ends_with(".rotary_emb.inv_freq");
}

// The same bytes: then the file has one tensor twice.
void drop_tied_head(const std::string& source, std::vector<ForeignTensor>& tensors, const char* embedding) {
  const auto head = std::ranges::find(tensors, "lm_head.weight", &ForeignTensor::name);
  const auto embed = std::ranges::find(tensors, embedding, &ForeignTensor::name);
  if (head == tensors.end() || embed == tensors.end()) return;
  if (head->type != embed->type || !std::ranges::equal(head->bytes, embed->bytes))
    throw UserError(Exit::data, source + ": lm_head.weight differs from " + embedding,
                    "config.json says tie_word_embeddings, that they are one\n"
                    "if the head is a matrix of its own, set tie_word_embeddings to false there");
  tensors.erase(head);
}

std::optional<TokenizerFile> read_tokenizer(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {kJsonFile, kSentencePieceFile})
    if (fs::exists(folder / name, ignored)) {
      TokenizerFile file{name, read_text(folder / name, kMostTokenizer)};
      try {
        make_tokenizer(file);
      } catch (const UserError& why) {
        throw UserError(why.code, (folder / name).string() + ": " + why.what(),
                        why.advice + "\nto import the model without a tokenizer:  --no-tokenizer");
      }
      return file;
    }
  return {};
}

}  // namespace

ForeignModel read_hf(const fs::path& folder, const HfOptions& options) {
  std::error_code ignored;
  const fs::path config = folder / "config.json";
  if (!fs::is_directory(folder, ignored))
    throw UserError(Exit::data, "no folder " + folder.string(), "a model's folder holds config.json and *.safetensors");
  if (!fs::exists(config, ignored))
    throw UserError(Exit::data, "no config.json in " + folder.string(),
                    "a model's folder holds config.json and *.safetensors");
  const HfConfig hf =
      parse_hf_config(config.string(), parse_json(config.string(), read_text(config, kMostConfig)), options.ignored);
  const auto files = std::make_shared<const SafetensorsFolder>(folder);

  ForeignModel out;
  out.source = folder.string();
  out.config = hf.model, out.naming = hf.naming, out.ends = hf.ends;
  out.keeps = files;
  for (ForeignTensor tensor : files->tensors()) {
    if (is_buffer(tensor.name, hf.naming)) continue;
    if (hf.naming == Naming::gpt2 && !tensor.name.starts_with("transformer.") && tensor.name != "lm_head.weight")
      tensor.name = "transformer." + tensor.name;  // files of GPT2Model, without a head
    out.tensors.push_back(std::move(tensor));
  }
  if (hf.model.layers > static_cast<int64_t>(out.tensors.size()))
    throw UserError(Exit::data, out.source + ": tensors are missing",
                    "config.json says " + std::to_string(hf.model.layers) + " layers, there are " +
                        std::to_string(out.tensors.size()) + " tensors");
  if (hf.model.tied)
    drop_tied_head(out.source, out.tensors,
                   hf.naming == Naming::gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight");

  if (options.tokenizer) {
    out.tokenizer = read_tokenizer(folder);
    if (!out.tokenizer) out.notes.push_back("there is no tokenizer.json or tokenizer.model: no tokenizer was imported");
  }
  return out;
}

}  // namespace rw
