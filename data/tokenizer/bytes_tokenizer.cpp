#include "data/tokenizer/kinds.hpp"

namespace rw {

namespace {

constexpr int32_t kStart = 256;

std::vector<std::string> all_bytes() {
  std::vector<std::string> bytes;
  for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
  bytes.emplace_back();  // kStart
  return bytes;
}

class BytesTokenizer : public Tokenizer {
 public:
  BytesTokenizer()
      : Tokenizer({kBytesFile, "ropewalk bytes: ids 0 to 255 are the bytes, 256 begins a document\n"}, all_bytes(),
                  kStart, false) {}
  std::string_view kind() const override { return "bytes"; }
  std::vector<int32_t> encode_part(std::string_view text, bool) const override {
    std::vector<int32_t> ids(text.size());
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<unsigned char>(text[i]);
    return ids;
  }
  size_t cut(std::string_view text) const override { return text.size(); }
  std::string piece(int32_t id) const override {
    if (id == kStart) return "<s>";
    if (id > ' ' && id <= '~') return bytes(id);
    return byte_piece(static_cast<unsigned char>(id));
  }
};

}  // namespace

std::unique_ptr<Tokenizer> make_bytes_tokenizer() { return std::make_unique<BytesTokenizer>(); }

}  // namespace rw
