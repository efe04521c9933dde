#include "data/tokenizer/vocabulary.hpp"

#include <unordered_map>
#include <unordered_set>

#include "core/base/user_error.hpp"
#include "data/tokenizer/byte_alphabet.hpp"
#include "data/tokenizer/byte_pairs.hpp"
#include "data/tokenizer/gguf_patterns.hpp"
#include "data/tokenizer/hugging_face.hpp"
#include "data/tokenizer/kinds.hpp"
#include "data/tokenizer/scored_merges.hpp"
#include "data/tokenizer/sentencepiece_model.hpp"
#include "data/tokenizer/write_hugging_face.hpp"

namespace rw {

namespace {

using Kind = Vocabulary::Kind;
using Type = Vocabulary::Type;
using Prefix = HuggingFaceTokenizer::Prefix;

[[noreturn]] void refuse_vocabulary(const std::string& why) {
  throw UserError(Exit::data, "the tokenizer cannot be written in another format", why);
}

Vocabulary of_bytes() {
  Vocabulary out;
  for (int byte = 0; byte < 256; ++byte) out.pieces.push_back(letter_of(static_cast<unsigned char>(byte)));
  out.pieces.push_back("<s>");
  out.types.assign(256, Type::normal);
  out.types.push_back(Type::control);
  out.pattern = "gpt-2";  // without merges any will do
  out.bos = out.eos = 256;
  return out;
}

Vocabulary of_sentencepiece(const Tokenizer& tokenizer) {
  const SentencePieceModel model = read_sentencepiece_model(tokenizer.file().bytes);
  if (!model.is_bpe) refuse_vocabulary("it is a unigram model of SentencePiece; only byte-pair models can be");
  Vocabulary out;
  out.kind = Kind::sentencepiece;
  for (const auto& piece : model.pieces) {
    out.pieces.push_back(piece.text);
    out.types.push_back(piece.type);
    out.scores.push_back(piece.score);
  }
  out.space_prefix = model.add_dummy_prefix;
  const auto control = [&](int32_t id, Type type) {
    return id >= 0 && id < tokenizer.vocab() && out.types[static_cast<size_t>(id)] == type ? id : -1;
  };
  out.bos = tokenizer.document_start();
  out.eos = control(model.eos, Type::control);
  out.unknown = control(model.unknown, Type::unknown);
  out.padding = control(model.padding, Type::control);
  if (out.unknown < 0) refuse_vocabulary("its unk_id is not its unknown piece");
  return out;
}

// Whether a piece is not what merging its bytes gives, so that ignore_merges makes a difference.
bool has_unreachable_pieces(const HuggingFaceTokenizer& from) {
  std::unordered_map<std::string, int32_t> ids;
  for (int32_t id = 0; id < from.model_vocab; ++id) ids.emplace(from.pieces[static_cast<size_t>(id)], id);
  BytePairs pairs;
  for (const auto& [left, right, merged] : from.merges) pairs.add(left, right, merged);
  std::vector<bool> added(from.pieces.size());
  for (const auto& token : from.added) added[static_cast<size_t>(token.id)] = true;
  for (int32_t id = 0; id < from.model_vocab; ++id) {
    const auto bytes = bytes_of_letters(from.pieces[static_cast<size_t>(id)]);
    if (added[static_cast<size_t>(id)] || !bytes) continue;
    std::vector<int32_t> symbols;
    for (char byte : *bytes)
      if (const auto known = ids.find(letter_of(static_cast<unsigned char>(byte))); known != ids.end())
        symbols.push_back(known->second);
    pairs.merge(symbols);
    if (symbols != std::vector{id}) return true;
  }
  return false;
}

void add_byte_pairs(const HuggingFaceTokenizer& from, Vocabulary& out) {
  out.kind = Kind::byte_pairs;
  const GgufPattern* pattern = gguf_pattern(from.patterns);
  if (from.merges.empty() && !from.ignore_merges) pattern = gguf_pattern("gpt-2");
  if (!pattern) refuse_vocabulary("the pattern by which it cuts words has no name in GGUF");
  if (from.nfc != pattern->nfc)
    refuse_vocabulary(std::string(from.nfc ? "it normalizes (NFC)" : "it does not normalize (NFC)") + ", other than '" +
                      pattern->name + "' in GGUF");
  if (from.ignore_merges != pattern->ignore_merges && has_unreachable_pieces(from))
    refuse_vocabulary("its ignore_merges is other than that of '" + std::string(pattern->name) + "' in GGUF");
  out.pattern = pattern->name;
  for (const auto& [left, right, merged] : from.merges)
    out.merges.emplace_back(from.pieces[static_cast<size_t>(left)], from.pieces[static_cast<size_t>(right)]);
}

void add_scores(const HuggingFaceTokenizer& from, Vocabulary& out) {
  out.kind = Kind::sentencepiece;
  if (from.prefix != Prefix::none && from.prefix != Prefix::always)
    refuse_vocabulary("it puts a space before texts that begin with none; SentencePiece before all or none");
  if (from.split_spaces || from.ignore_merges || from.nfc || !from.byte_fallback)
    refuse_vocabulary(
        "SentencePiece has no equal of its Metaspace split, ignore_merges or NFC, or it lacks byte_fallback");
  if (from.unknown < 0) refuse_vocabulary("it has no unknown token");
  out.space_prefix = from.prefix == Prefix::always;
  for (size_t id = 0; id < out.pieces.size(); ++id)
    if (byte_of_piece(out.pieces[id]) >= 0) out.types[id] = Type::byte;
  out.types[static_cast<size_t>(from.unknown)] = Type::unknown;
  Merges merges;
  for (const auto& [left, right, merged] : from.merges)
    merges.emplace_back(from.pieces[static_cast<size_t>(left)], from.pieces[static_cast<size_t>(right)]);
  out.scores = scores_of_merges(out, merges);
}

Vocabulary of_hugging_face(const HuggingFaceTokenizer& from) {
  Vocabulary out;
  out.pieces = from.pieces;
  out.types.assign(from.pieces.size(), Type::normal);
  for (const auto& added : from.added)
    out.types[static_cast<size_t>(added.id)] = added.special ? Type::control : Type::user;
  const SpecialTokens special = special_tokens_of(from);
  out.bos = special.bos;
  out.eos = special.eos;
  out.unknown = special.unknown;
  out.padding = special.padding;
  from.bytes ? add_byte_pairs(from, out) : add_scores(from, out);
  return out;
}

[[noreturn]] void wrong(const std::string& why) {
  throw UserError(Exit::data, "unusable vocabulary of a tokenizer", why);
}

void check(const Vocabulary& vocabulary) {
  const size_t n = vocabulary.pieces.size();
  const auto length = [&](size_t size, const char* name) {
    if (size != n) wrong("there are " + std::to_string(n) + " pieces, but " + std::to_string(size) + " " + name);
  };
  if (n == 0 || n > kMostPieces) wrong("it has " + std::to_string(n) + " pieces");
  length(vocabulary.types.size(), "types");
  if (vocabulary.kind == Kind::sentencepiece) length(vocabulary.scores.size(), "scores");
  std::unordered_set<std::string_view> seen;
  for (size_t id = 0; id < n; ++id) {
    const std::string& piece = vocabulary.pieces[id];
    if (piece.empty()) wrong("the id " + std::to_string(id) + " has no piece");
    if (!seen.insert(piece).second) wrong("the piece '" + piece + "' stands twice");
    if (const auto type = static_cast<uint8_t>(vocabulary.types[id]); type < 1 || type > 6)
      wrong("the piece '" + piece + "' has the unknown type " + std::to_string(type));
  }
  const std::pair<const char*, int32_t> ids[] = {{"bos", vocabulary.bos},
                                                 {"eos", vocabulary.eos},
                                                 {"unknown", vocabulary.unknown},
                                                 {"padding", vocabulary.padding}};
  for (const auto& [name, id] : ids)
    if (id < -1 || id >= static_cast<int64_t>(n))
      wrong(std::string("its ") + name + " id " + std::to_string(id) + " has no piece");
  if (vocabulary.bos < 0 && vocabulary.eos < 0) wrong("it has neither a bos nor an eos id, which begins a document");
  for (const auto& [left, right] : vocabulary.merges)
    for (const std::string& piece : {left, right, left + right})
      if (!seen.contains(piece)) wrong("a merge is of '" + piece + "', which is no piece");
}

TokenizerFile byte_pair_file(Vocabulary vocabulary) {
  const GgufPattern* pattern = gguf_pattern(vocabulary.pattern);
  if (!pattern)
    wrong("the pattern '" + vocabulary.pattern +
          "' by which it cuts words is not known\nknown are: " + gguf_pattern_names());
  if (vocabulary.space_prefix) wrong("it puts a space before texts, which is not supported for byte pairs");
  const int32_t start = vocabulary.bos >= 0 ? vocabulary.bos : vocabulary.eos;
  for (int32_t id : {vocabulary.bos, vocabulary.eos})
    if (id >= 0) vocabulary.types[static_cast<size_t>(id)] = Type::control;
  auto file = hugging_face_file(vocabulary, vocabulary.merges);
  file["model"]["ignore_merges"] = pattern->ignore_merges;
  if (pattern->nfc) file["normalizer"] = {{"type", "NFC"}};
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const char* regex : pattern->patterns) steps.push_back(split_by(regex));
  steps.push_back(byte_level(false));
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  file["post_processor"] = template_of(vocabulary, start, false);
  file["decoder"] = byte_level(false);
  return {kJsonFile, file.dump(1) + "\n"};
}

TokenizerFile sentencepiece_file(const Vocabulary& vocabulary) {
  SentencePieceModel model;
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id)
    model.pieces.push_back({vocabulary.pieces[id], vocabulary.scores[id], vocabulary.types[id]});
  const auto has = [&](int32_t id, Type type) { return id >= 0 && vocabulary.types[static_cast<size_t>(id)] == type; };
  if (!has(vocabulary.unknown, Type::unknown)) wrong("its unknown id is not its unknown piece");
  if (!has(vocabulary.bos, Type::control)) wrong("its bos id is not a control piece");
  model.is_bpe = model.byte_fallback = true;
  model.unknown = vocabulary.unknown;
  model.bos = vocabulary.bos;
  model.eos = vocabulary.eos;
  model.padding = vocabulary.padding;
  model.normalization = "identity";
  model.add_dummy_prefix = vocabulary.space_prefix;
  model.remove_extra_whitespaces = false;
  return {kSentencePieceFile, write_sentencepiece_model(model)};
}

}  // namespace

Vocabulary vocabulary_of(const Tokenizer& tokenizer) {
  if (tokenizer.file().name == kBytesFile) return of_bytes();
  if (tokenizer.file().name == kSentencePieceFile) return of_sentencepiece(tokenizer);
  return of_hugging_face(read_tokenizer_json(tokenizer.file().bytes));
}

TokenizerFile tokenizer_file_of(const Vocabulary& vocabulary) {
  check(vocabulary);
  return vocabulary.kind == Kind::byte_pairs ? byte_pair_file(vocabulary) : sentencepiece_file(vocabulary);
}

}  // namespace rw
