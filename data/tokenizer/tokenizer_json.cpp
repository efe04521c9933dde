#include "data/tokenizer/tokenizer_json.hpp"

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"
#include "data/tokenizer/hugging_face.hpp"
#include "data/tokenizer/kinds.hpp"
#include "data/tokenizer/scored_merges.hpp"
#include "data/tokenizer/write_hugging_face.hpp"

namespace rw {

namespace {

using Type = Vocabulary::Type;

std::string bytes_json(const Vocabulary& vocabulary) {
  OrderedJson file = hugging_face_file(vocabulary, {});
  file["pre_tokenizer"] = byte_level(false);
  file["post_processor"] = template_of(vocabulary, vocabulary.bos, true);
  file["decoder"] = byte_level(false);
  return file.dump(1) + "\n";
}

[[noreturn]] void refuse_export(const std::string& what) {
  throw UserError(Exit::data, "the tokenizer cannot be written as tokenizer.json", what);
}

std::string sentencepiece_json(const Vocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    const std::string piece = "its piece '" + vocabulary.pieces[id] + "' ";
    if (vocabulary.types[id] == Type::unused) refuse_export(piece + "is marked as unused, which has no equal there");
    if (vocabulary.types[id] == Type::user && vocabulary.space_prefix)
      refuse_export(piece + "is user-defined, and a space would be put behind it");
  }
  OrderedJson file = hugging_face_file(vocabulary, merges_of_scores(vocabulary));
  file["model"]["unk_token"] = vocabulary.pieces[static_cast<size_t>(vocabulary.unknown)];
  file["model"]["fuse_unk"] = true;
  file["model"]["byte_fallback"] = true;
  const OrderedJson space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}};
  const OrderedJson prefix = {{"type", "Prepend"}, {"prepend", kSpaceMark}};
  OrderedJson steps = OrderedJson::array();
  if (vocabulary.space_prefix) steps.push_back(prefix);
  steps.push_back(space);
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  file["post_processor"] = template_of(vocabulary, vocabulary.bos, true);
  OrderedJson decoders = {{{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}},
                          {{"type", "ByteFallback"}},
                          {{"type", "Fuse"}}};
  if (vocabulary.space_prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  file["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
  return file.dump(1) + "\n";
}

}  // namespace

std::string to_tokenizer_json(const Tokenizer& tokenizer) {
  if (tokenizer.file().name == kJsonFile) return tokenizer.file().bytes;
  const Vocabulary vocabulary = vocabulary_of(tokenizer);
  return vocabulary.kind == Vocabulary::Kind::byte_pairs ? bytes_json(vocabulary) : sentencepiece_json(vocabulary);
}

std::string to_tokenizer_config_json(const Tokenizer& tokenizer, int64_t context) {
  OrderedJson config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                        {"model_max_length", context},
                        {"clean_up_tokenization_spaces", false}};
  const auto add = [&](const std::vector<std::string>& pieces, const SpecialTokens& special) {
    const std::pair<const char*, int32_t> names[] = {{"bos_token", special.bos},
                                                     {"eos_token", special.eos},
                                                     {"unk_token", special.unknown},
                                                     {"pad_token", special.padding}};
    for (const auto& [key, id] : names)
      if (id >= 0) config[key] = pieces[static_cast<size_t>(id)];
  };
  if (tokenizer.file().name == kJsonFile) {
    const HuggingFaceTokenizer from = read_tokenizer_json(tokenizer.file().bytes);
    add(from.pieces, special_tokens_of(from));
  } else {
    const Vocabulary from = vocabulary_of(tokenizer);
    add(from.pieces, {from.bos, from.eos, from.unknown, from.padding});
  }
  return config.dump(1) + "\n";
}

}  // namespace rw
