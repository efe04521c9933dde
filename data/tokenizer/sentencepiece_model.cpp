#include "data/tokenizer/sentencepiece_model.hpp"

#include <bit>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"

namespace rw {

namespace {

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // of kVarint, kFixed32
  std::string_view bytes;  // of kBytes
};

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view bytes) : rest_(bytes) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field = {key >> 3, 0, {}};
    switch (key & 7) {
      case kVarint:
        field.value = varint();
        return true;
      case kFixed64:
        take(8);
        return true;
      case kBytes:
        field.bytes = take(varint());
        return true;
      case kFixed32: {
        const std::string_view four = take(4);
        for (size_t i = 4; i-- > 0;) field.value = field.value << 8 | static_cast<unsigned char>(four[i]);
        return true;
      }
      default:
        fail();
    }
  }

 private:
  [[noreturn]] static void fail() {
    throw UserError(Exit::data, "unusable tokenizer",
                    "it is not a SentencePiece model, or a damaged one\n"
                    "make one:  ropewalk tokenizer train --out tok TEXT...");
  }
  std::string_view take(uint64_t n) {
    if (n > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::string_view rest_;
};

class Writer {
 public:
  void number(uint32_t field, int64_t value) {
    varint(field << 3 | kVarint);
    varint(static_cast<uint64_t>(value));
  }
  void real(uint32_t field, float value) {
    varint(field << 3 | kFixed32);
    auto bits = std::bit_cast<uint32_t>(value);
    for (int i = 0; i < 4; ++i, bits >>= 8) out_ += static_cast<char>(bits & 0xFF);
  }
  void bytes(uint32_t field, std::string_view value) {
    varint(field << 3 | kBytes);
    varint(value.size());
    out_ += value;
  }
  const std::string& out() const { return out_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  std::string out_;
};

SentencePieceModel::Piece read_piece(std::string_view bytes) {
  SentencePieceModel::Piece piece;
  ProtobufReader reader(bytes);
  for (Field field; reader.next(field);) {
    if (field.number == 1) piece.text = field.bytes;
    if (field.number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) piece.type = static_cast<Vocabulary::Type>(field.value);
  }
  return piece;
}

void read_trainer(std::string_view bytes, SentencePieceModel& model) {
  ProtobufReader reader(bytes);
  for (Field field; reader.next(field);) {
    const auto id = static_cast<int32_t>(field.value);
    if (field.number == 3) model.is_bpe = field.value == 2;
    if (field.number == 24) model.whitespace_as_suffix = field.value != 0;
    if (field.number == 35) model.byte_fallback = field.value != 0;
    if (field.number == 40) model.unknown = id;
    if (field.number == 41) model.bos = id;
    if (field.number == 42) model.eos = id;
    if (field.number == 43) model.padding = id;
  }
}

void read_normalizer(std::string_view bytes, SentencePieceModel& model) {
  ProtobufReader reader(bytes);
  for (Field field; reader.next(field);) {
    if (field.number == 1) model.normalization = field.bytes;
    if (field.number == 2) model.has_charsmap = !field.bytes.empty();
    if (field.number == 3) model.add_dummy_prefix = field.value != 0;
    if (field.number == 4) model.remove_extra_whitespaces = field.value != 0;
    if (field.number == 5) model.escape_whitespaces = field.value != 0;
  }
}

}  // namespace

SentencePieceModel read_sentencepiece_model(std::string_view bytes) {
  SentencePieceModel model;
  ProtobufReader reader(bytes);
  for (Field field; reader.next(field);) {
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes));
    if (field.number == 2) read_trainer(field.bytes, model);
    if (field.number == 3) read_normalizer(field.bytes, model);
  }
  return model;
}

std::string write_sentencepiece_model(const SentencePieceModel& model) {
  RW_CHECK(!model.has_charsmap);
  Writer out;
  for (const auto& piece : model.pieces) {
    Writer one;
    one.bytes(1, piece.text);
    one.real(2, piece.score);
    one.number(3, static_cast<int64_t>(piece.type));
    out.bytes(1, one.out());
  }
  Writer trainer;
  trainer.number(3, model.is_bpe ? 2 : 1);
  trainer.number(4, static_cast<int64_t>(model.pieces.size()));
  trainer.number(24, model.whitespace_as_suffix);
  trainer.number(35, model.byte_fallback);
  trainer.number(40, model.unknown);
  trainer.number(41, model.bos);
  trainer.number(42, model.eos);
  trainer.number(43, model.padding);
  const std::pair<uint32_t, int32_t> names[] = {
      {45, model.unknown}, {46, model.bos}, {47, model.eos}, {48, model.padding}};
  for (const auto& [field, id] : names)
    if (id >= 0) trainer.bytes(field, model.pieces[static_cast<size_t>(id)].text);
  out.bytes(2, trainer.out());
  Writer normalizer;
  normalizer.bytes(1, model.normalization);
  normalizer.bytes(2, "");
  normalizer.number(3, model.add_dummy_prefix);
  normalizer.number(4, model.remove_extra_whitespaces);
  normalizer.number(5, model.escape_whitespaces);
  out.bytes(3, normalizer.out());
  return out.out();
}

std::string without_dummy_prefix(const std::string& bytes) {
  Writer normalizer, last;
  normalizer.number(3, 0);
  last.bytes(3, normalizer.out());
  return bytes + last.out();
}

}  // namespace rw
