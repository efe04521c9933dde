// For tokenizer_peer.py:
//   write_tokenizers encode FOLDER TEXTS.json
//       {"start": id, "ids": [...], "parts": [...], "texts": [...]}: ids of each text, the same in parts, and the text
//       that the ids give
//   write_tokenizers write KIND VOCAB TEXT.txt FOLDER
//       a tokenizer (bytes, sentencepiece, sentencepiece-prefix), learnt from TEXT: FOLDER/ours/, and Hugging Face's
//       files of it in FOLDER
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/sentencepiece_model.hpp"
#include "data/tokenizer/tokenizer_json.hpp"
#include "data/tokenizer/train_sentencepiece.hpp"

namespace {

using nlohmann::json;

// In parts of about `bytes`, where the tokenizer lets cut.
std::vector<int32_t> encode_in_parts(const rw::Tokenizer& tokenizer, std::string_view text, size_t bytes) {
  std::vector<int32_t> ids;
  bool first = true;
  for (size_t view = bytes; !text.empty();) {
    while (view < text.size() && rw::is_utf8_continuation(text[view])) ++view;
    size_t at = text.size();
    if (view < text.size() && (at = tokenizer.cut(text.substr(0, view))) == 0) {
      view *= 2;
      continue;
    }
    const auto more = tokenizer.encode_part(text.substr(0, at), first);
    ids.insert(ids.end(), more.begin(), more.end());
    text.remove_prefix(at);
    first = false;
    view = bytes;
  }
  return ids;
}

void encode(const std::filesystem::path& folder, const std::filesystem::path& texts) {
  const auto tokenizer = rw::load_tokenizer(folder);
  json out = {{"start", tokenizer->document_start()}, {"ids", json::array()}, {"parts", json::array()}};
  for (const json& text : json::parse(rw::read_text(texts, 1 << 30))) {
    const auto ids = tokenizer->encode(text.get<std::string>());
    out["ids"].push_back(ids);
    out["parts"].push_back(encode_in_parts(*tokenizer, text.get<std::string>(), 100));
    out["texts"].push_back(tokenizer->decode(ids));
  }
  std::puts(out.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
}

rw::TokenizerFile make(const std::string& kind, int vocab, const std::filesystem::path& text) {
  if (kind == "bytes") return rw::make_bytes_tokenizer()->file();
  rw::TokenizerFile file = rw::train_sentencepiece(std::span(&text, 1), {}, vocab).tokenizer->file();
  if (kind == "sentencepiece-prefix") {
    auto model = rw::read_sentencepiece_model(file.bytes);
    model.add_dummy_prefix = true;
    file.bytes = rw::write_sentencepiece_model(model);
  }
  return file;
}

void write(const std::string& kind, int vocab, const std::filesystem::path& text, const std::filesystem::path& folder) {
  const auto tokenizer = rw::make_tokenizer(make(kind, vocab, text));
  rw::save_tokenizer(tokenizer->file(), folder / "ours");
  rw::write_text(folder / "tokenizer.json", rw::to_tokenizer_json(*tokenizer));
  rw::write_text(folder / "tokenizer_config.json", rw::to_tokenizer_config_json(*tokenizer, 77));
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "encode" && argc == 4)
    encode(argv[2], argv[3]);
  else if (what == "write" && argc == 6)
    write(argv[2], std::stoi(argv[3]), argv[4], argv[5]);
  else
    return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
