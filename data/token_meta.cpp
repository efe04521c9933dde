#include "data/token_meta.hpp"

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"

namespace rw {

namespace {

constexpr const char* kFormat = "ropewalk tokens";
constexpr int kPlain = 1, kWithPrompts = 2;  // versions

}  // namespace

std::string to_text(const TokenMeta& meta) {
  OrderedJson sources = OrderedJson::array();
  for (const TokenSource& s : meta.sources)
    sources.push_back({{"name", s.name}, {"bytes", s.bytes}, {"documents", s.documents}});
  OrderedJson out = {
      {"format", kFormat},
      {"version", meta.prompt_tokens > 0 ? kWithPrompts : kPlain},
      {"vocab", meta.vocab},
      {"document_start", meta.document_start},
      {"tokenizer", {{"kind", meta.tokenizer_kind}, {"hash", meta.tokenizer_hash}, {"file", meta.tokenizer_file}}},
      {"bytes", meta.bytes},
      {"documents", meta.documents},
      {"tokens", meta.tokens},
      {"sources", sources},
      {"command", meta.command}};
  if (meta.prompt_tokens > 0) out["prompt_tokens"] = meta.prompt_tokens;
  return out.dump(1, ' ', false, OrderedJson::error_handler_t::replace);  // file names need not be UTF-8
}

TokenMeta parse_token_meta(const std::string& name, std::string_view text) {
  const Json in = Json::parse(text, nullptr, false);
  if (!in.is_object() || in.value("format", Json()) != kFormat)
    throw UserError(Exit::data, name + " is not a token file",
                    "it is something else that Ropewalk wrote\n"
                    "prepare one:  ropewalk data prepare --tokenizer TOK --out data TEXT...");
  const Json version = in.value("version", Json());
  if (version != kPlain && version != kWithPrompts)
    throw UserError(
        Exit::data, name + " is of a newer version",
        "this program reads the versions " + std::to_string(kPlain) + " and " + std::to_string(kWithPrompts));
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
    if (version == kWithPrompts) meta.prompt_tokens = in.at("prompt_tokens");
    for (const Json& s : in.at("sources")) meta.sources.push_back({s.at("name"), s.at("bytes"), s.at("documents")});
    meta.command = in.at("command");
    return meta;
  } catch (const Json::exception& error) {
    throw UserError(Exit::data, name + " is not a token file of version " + version.dump(), error.what());
  }
}

}  // namespace rw
