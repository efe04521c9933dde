#include "data/token_meta.hpp"

#include <nlohmann/json.hpp>

#include "core/base/user_error.hpp"

namespace rw {

using json = nlohmann::ordered_json;

namespace {

constexpr const char* kFormat = "ropewalk tokens";
constexpr int kVersion = 1;

}  // namespace

std::string to_text(const TokenMeta& meta) {
  json sources = json::array();
  for (const TokenSource& s : meta.sources)
    sources.push_back({{"name", s.name}, {"bytes", s.bytes}, {"documents", s.documents}});
  const json out = {
      {"format", kFormat},
      {"version", kVersion},
      {"vocab", meta.vocab},
      {"document_start", meta.document_start},
      {"tokenizer", {{"kind", meta.tokenizer_kind}, {"hash", meta.tokenizer_hash}, {"file", meta.tokenizer_file}}},
      {"bytes", meta.bytes},
      {"documents", meta.documents},
      {"tokens", meta.tokens},
      {"sources", sources},
      {"command", meta.command}};
  return out.dump(1, ' ', false, json::error_handler_t::replace);  // file names need not be UTF-8
}

TokenMeta parse_token_meta(const std::string& name, std::string_view text) {
  const json in = json::parse(text, nullptr, false);
  if (!in.is_object() || in.value("format", json()) != kFormat)
    throw UserError(Exit::data, name + " is not a token file",
                    "it is something else that Ropewalk wrote\n"
                    "prepare one:  ropewalk data prepare --tokenizer TOK --out data TEXT...");
  if (in.value("version", json()) != kVersion)
    throw UserError(Exit::data, name + " is of a newer version",
                    "this program reads version " + std::to_string(kVersion));
  try {
    TokenMeta meta;
    meta.vocab = in.at("vocab");
    meta.document_start = in.at("document_start");
    meta.tokenizer_kind = in.at("tokenizer").at("kind");
    meta.tokenizer_hash = in.at("tokenizer").at("hash");
    meta.tokenizer_file = in.at("tokenizer").at("file");
    meta.bytes = in.at("bytes");
    meta.documents = in.at("documents");
    meta.tokens = in.at("tokens");
    for (const json& s : in.at("sources")) meta.sources.push_back({s.at("name"), s.at("bytes"), s.at("documents")});
    meta.command = in.at("command");
    return meta;
  } catch (const json::exception& error) {
    throw UserError(Exit::data, name + " is not a token file of version " + std::to_string(kVersion), error.what());
  }
}

}  // namespace rw
