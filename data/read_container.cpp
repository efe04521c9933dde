#include "core/base/user_error.hpp"
#include "data/token_meta.hpp"
#include "data/token_storage.hpp"

namespace rw {

namespace {

constexpr int64_t kMaxVocab = int64_t{1} << 31;

[[noreturn]] void wrong(const std::filesystem::path& file, const std::string& what) {
  throw UserError(Exit::corrupt, file.string() + " contradicts itself", what + "\nprepare it again");
}

}  // namespace

void read_container(const std::filesystem::path& file, TokenStorage& out) {
  out.container = Container::open(file);
  const Container& container = *out.container;
  const TokenMeta meta =
      parse_token_meta(file.string(), container.find("/meta") ? container.text("/meta") : std::string_view());

  TokenSegment segment{.file = file.string()};
  const ContainerEntry* tokens = container.find("/tokens");
  if (tokens && tokens->type == FileType::u16)
    segment.narrow = container.array<uint16_t>(*tokens);
  else
    segment.wide = container.array<uint32_t>(container.at("/tokens", FileType::u32));
  if (segment.size() != meta.tokens || segment.size() == 0)
    wrong(file, "it has " + std::to_string(segment.size()) + " tokens, /meta says " + std::to_string(meta.tokens));
  out.segments.push_back(segment);

  if (meta.vocab <= 0 || meta.vocab > kMaxVocab) wrong(file, "vocab is " + std::to_string(meta.vocab));
  out.vocab = meta.vocab;
  out.bytes = meta.bytes;
  const std::string path = "/tokenizer/" + meta.tokenizer_file;
  const auto bytes = container.bytes(container.at(path, FileType::u8));
  out.tokenizer = TokenizerFile{meta.tokenizer_file, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
  out.tokenizer_hash = meta.tokenizer_hash;
  if (hash_of(*out.tokenizer) != out.tokenizer_hash) wrong(file, "its tokenizer has another hash than /meta says");

  const auto starts = container.array<uint64_t>(container.at("/doc_starts", FileType::u64));
  if (starts.size() != meta.documents || starts.empty() || starts[0] != 0)
    wrong(file, "/doc_starts does not begin at 0 or is not as long as /meta says");
  for (size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] >= meta.tokens || (i > 0 && starts[i] <= starts[i - 1]))
      wrong(file, "/doc_starts[" + std::to_string(i) + "] is " + std::to_string(starts[i]) + ", not ascending");
    const auto at = static_cast<size_t>(starts[i]);
    if (static_cast<int64_t>(segment.narrow.empty() ? segment.wide[at] : segment.narrow[at]) != meta.document_start)
      wrong(file, "token " + std::to_string(at) + " does not begin a document, /doc_starts says it does");
  }
  out.document_starts = starts;

  const ContainerEntry* prompts = container.find("/prompt_tokens");
  if ((prompts != nullptr) != (meta.prompt_tokens > 0)) wrong(file, "/prompt_tokens and /meta disagree on prompts");
  if (!prompts) return;
  out.prompt_tokens = container.array<uint64_t>(container.at("/prompt_tokens", FileType::u64));
  if (out.prompt_tokens.size() != starts.size()) wrong(file, "/prompt_tokens is not as long as /doc_starts");
  for (size_t i = 0; i < starts.size(); ++i) {
    const uint64_t end = i + 1 < starts.size() ? starts[i + 1] : meta.tokens;
    if (out.prompt_tokens[i] > end - starts[i] - 1)
      wrong(file, "/prompt_tokens[" + std::to_string(i) + "] is " + std::to_string(out.prompt_tokens[i]) +
                      ", more than the document has");
    out.all_prompt_tokens += out.prompt_tokens[i];
  }
  if (out.all_prompt_tokens != meta.prompt_tokens)
    wrong(file, "/prompt_tokens are " + std::to_string(out.all_prompt_tokens) + " together, /meta says " +
                    std::to_string(meta.prompt_tokens));
}

}  // namespace rw
