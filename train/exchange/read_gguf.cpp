#include "train/exchange/foreign_model.hpp"
#include "train/exchange/gguf_config.hpp"
#include "train/exchange/gguf_tokenizer.hpp"

namespace rw {

ForeignModel read_gguf(const std::filesystem::path& path, bool tokenizer) {
  const auto file = std::make_shared<const GgufFile>(path);
  ForeignModel model;
  model.source = file->name();
  model.config = gguf_config(*file);
  model.naming = Naming::gguf;
  model.tensors = file->tensors();
  model.keeps = file;
  check_tensors(model.source, model.tensors, tensor_map(model.config, model.naming));
  if (const auto vocabulary = tokenizer ? gguf_vocabulary(*file, model.config.vocab) : std::nullopt) {
    model.tokenizer = tokenizer_file_of(*vocabulary);
    model.ends = gguf_ends(*file, *vocabulary);
    if (const auto tokens = static_cast<int64_t>(vocabulary->pieces.size()); tokens < model.config.vocab)
      model.notes.push_back("the embedding has " + std::to_string(model.config.vocab) + " rows for " +
                            std::to_string(tokens) + " tokens");
  } else if (tokenizer) {
    model.notes.push_back("it has no tokenizer: none was imported");
  }
  if (file->keys().contains("tokenizer.chat_template")) model.notes.push_back("its chat template is left out");
  return model;
}

}  // namespace rw
