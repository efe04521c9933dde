#include "train/exchange/gguf_tokenizer.hpp"

#include <algorithm>

#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"

namespace rw {
namespace {

std::string key_of(const std::string& name) { return "tokenizer.ggml." + name; }

UserError bad(const GgufFile& file, const std::string& key, const std::string& what) {
  return UserError(Exit::data, file.name() + ": key " + key_of(key) + what,
                   "the file is damaged, or was written by a program that errs");
}

std::vector<std::string> texts(const GgufFile& file, const std::string& key) {
  std::vector<std::string> out = file.texts(key_of(key));
  for (size_t i = 0; i < out.size(); ++i)
    if (valid_utf8_prefix(out[i]) != out[i].size())
      throw bad(file, key, ": text " + std::to_string(i) + " is not UTF-8");
  return out;
}

// `otherwise` is what the format says of a file without the key.
int32_t id_of(const GgufFile& file, const std::string& key, const Vocabulary& of, int32_t otherwise) {
  const auto count = static_cast<int64_t>(of.pieces.size());
  const auto id = file.integer(key_of(key));
  if (!id) return otherwise < count ? otherwise : -1;
  if (*id < 0 || *id >= count) throw bad(file, key, " is " + std::to_string(*id) + ", no id of a token");
  return static_cast<int32_t>(*id);
}

// What a row of the embedding that stands for nothing is called.
std::string padding_piece(size_t id) { return "[PAD" + std::to_string(id) + "]"; }

void drop_padding(Vocabulary& v) {
  while (!v.pieces.empty() && v.types.back() == Vocabulary::Type::unused &&
         v.pieces.back() == padding_piece(v.pieces.size() - 1)) {
    v.pieces.pop_back(), v.types.pop_back();
    if (!v.scores.empty()) v.scores.pop_back();
  }
}

}  // namespace

std::optional<Vocabulary> gguf_vocabulary(const GgufFile& file, int64_t rows) {
  const std::string kind = file.text(key_of("model")).value_or("none");
  if (kind == "none" || kind == "no_vocab") return {};
  if (kind != "llama" && kind != "gpt2")
    throw UserError(Exit::data, file.name() + ": tokenizer '" + excerpt(kind) + "' is not known",
                    "llama (SentencePiece) and gpt2 (byte pairs) are");
  Vocabulary v;
  v.kind = kind == "gpt2" ? Vocabulary::Kind::byte_pairs : Vocabulary::Kind::sentencepiece;
  const bool sentencepiece = v.kind == Vocabulary::Kind::sentencepiece;
  v.pieces = texts(file, "tokens");
  const size_t count = v.pieces.size();
  if (static_cast<int64_t>(count) != rows)
    throw bad(file, "tokens",
              " has " + std::to_string(count) + " tokens, the embedding " + std::to_string(rows) + " rows");
  v.types.assign(count, Vocabulary::Type::normal);
  const std::vector<int64_t> types = file.integers(key_of("token_type"));
  if (!types.empty() && types.size() != count) throw bad(file, "token_type", " has not one for each token");
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 1 || types[i] > 6)
      throw bad(file, "token_type", ": that of token " + std::to_string(i) + " is " + std::to_string(types[i]));
    v.types[i] = static_cast<Vocabulary::Type>(types[i]);
  }
  if (sentencepiece) {
    for (const double score : file.numbers(key_of("scores"))) v.scores.push_back(static_cast<float>(score));
    if (v.scores.size() != count) throw bad(file, "scores", " has not one for each token");
  }
  drop_padding(v);
  if (!sentencepiece) {
    for (const std::string& merge : texts(file, "merges")) {
      const size_t space = merge.find(' ', 1);
      if (space == merge.npos || space + 1 == merge.size())
        throw bad(file, "merges", ": merge " + std::to_string(v.merges.size()) + " is not two pieces");
      v.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
    v.pattern = file.text(key_of("pre")).value_or("default");
  }
  v.space_prefix = file.flag(key_of("add_space_prefix")).value_or(sentencepiece);
  if (file.flag(key_of("remove_extra_whitespaces")).value_or(false) ||
      file.keys().contains(key_of("precompiled_charsmap")))
    throw UserError(Exit::data, file.name() + ": its tokenizer changes texts",
                    "those that leave spaces and characters as they are can be read");
  v.bos = id_of(file, "bos_token_id", v, sentencepiece ? 1 : -1);
  v.eos = id_of(file, "eos_token_id", v, sentencepiece ? 2 : -1);
  v.unknown = id_of(file, "unknown_token_id", v, sentencepiece ? 0 : -1);
  v.padding = id_of(file, "padding_token_id", v, -1);
  return v;
}

std::vector<int64_t> gguf_ends(const GgufFile& file, const Vocabulary& v) {
  const int32_t begin = v.bos >= 0 ? v.bos : v.eos;
  std::vector<int64_t> ends;
  for (const int32_t id : {v.eos, id_of(file, "eot_token_id", v, -1), id_of(file, "eom_token_id", v, -1)})
    if (id >= 0 && id != begin && std::ranges::find(ends, id) == ends.end()) ends.push_back(id);
  return ends;
}

GgufFields gguf_fields(const Vocabulary* v, int64_t rows, std::span<const int64_t> ends) {
  GgufFields out;
  const auto add = [&](const char* name, GgufField value) { out.emplace_back(key_of(name), std::move(value)); };
  if (!v) {
    add("model", std::string("none"));
    return out;
  }
  const bool sentencepiece = v->kind == Vocabulary::Kind::sentencepiece;
  std::vector<std::string> pieces = v->pieces;
  std::vector<int32_t> types;
  for (const Vocabulary::Type type : v->types) types.push_back(static_cast<int32_t>(type));
  std::vector<float> scores = v->scores;
  while (static_cast<int64_t>(pieces.size()) < rows) {
    pieces.push_back(padding_piece(pieces.size()));
    types.push_back(static_cast<int32_t>(Vocabulary::Type::unused));
    scores.push_back(0);
  }
  add("model", std::string(sentencepiece ? "llama" : "gpt2"));
  add("pre", sentencepiece ? std::string("default") : v->pattern);
  add("tokens", std::move(pieces));
  if (sentencepiece) add("scores", std::move(scores));
  add("token_type", std::move(types));
  if (!sentencepiece) {
    std::vector<std::string> merges;
    for (const auto& [left, right] : v->merges) merges.push_back(left + " " + right);
    add("merges", std::move(merges));
  }
  const auto id = [&](const char* name, int64_t value) {
    if (value >= 0) add(name, static_cast<uint32_t>(value));
  };
  id("bos_token_id", v->bos);
  constexpr const char* kEnds[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  for (size_t i = 0; i < std::min(ends.size(), std::size(kEnds)); ++i) id(kEnds[i], ends[i]);
  if (ends.empty()) id(kEnds[0], v->bos >= 0 ? v->bos : v->eos);
  id("unknown_token_id", v->unknown);
  id("padding_token_id", v->padding);
  add("add_bos_token", v->bos >= 0);
  add("add_eos_token", false);
  add("add_space_prefix", v->space_prefix);
  return out;
}

}  // namespace rw
