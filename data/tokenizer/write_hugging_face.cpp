#include "data/tokenizer/write_hugging_face.hpp"

#include "core/file/json.hpp"

namespace rw {

OrderedJson hugging_face_file(const Vocabulary& vocabulary,
                              std::span<const std::pair<std::string, std::string>> merges) {
  OrderedJson added = OrderedJson::array(), vocab = OrderedJson::object(), pairs = OrderedJson::array();
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    const std::string& piece = vocabulary.pieces[id];
    const Vocabulary::Type type = vocabulary.types[id];
    vocab.push_back({piece, id});
    if (type == Vocabulary::Type::normal || type == Vocabulary::Type::byte) continue;
    // User-defined pieces are looked for in the text that the vocabulary is for, where a space may be "▁".
    const bool user = type == Vocabulary::Type::user;
    added.push_back({{"id", id},
                     {"content", piece},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", user && vocabulary.kind == Vocabulary::Kind::sentencepiece},
                     {"special", !user}});
  }
  for (const auto& [left, right] : merges) pairs.push_back(left + " " + right);
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder", nullptr},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(vocab)},
            {"merges", std::move(pairs)}}}};
}

OrderedJson byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

OrderedJson split_by(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}

OrderedJson template_of(const Vocabulary& vocabulary, int32_t id, bool adds) {
  const std::string& token = vocabulary.pieces[static_cast<size_t>(id)];
  const auto special = [&](int type) { return OrderedJson{{"SpecialToken", {{"id", token}, {"type_id", type}}}}; };
  const auto text = [](const char* name, int type) {
    return OrderedJson{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  OrderedJson single = OrderedJson::array(), pair = OrderedJson::array();
  if (adds) single.push_back(special(0));
  single.push_back(text("A", 0));
  pair = single;
  if (adds) pair.push_back(special(1));
  pair.push_back(text("B", 1));
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", {{token, {{"id", token}, {"ids", {id}}, {"tokens", {token}}}}}}};
}

}  // namespace rw
