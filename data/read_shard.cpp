#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/user_error.hpp"
#include "core/file/file.hpp"
#include "core/file/json.hpp"
#include "data/token_storage.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr size_t kHeader = 1024;  // bytes, of llm.c

struct LlmcKind {
  int32_t magic, version;
  size_t width;  // bytes of an id
  int64_t vocab;
  int32_t document_start;
};
constexpr LlmcKind kLlmcKinds[] = {{20240520, 1, 2, 50257, 50256}, {20240801, 7, 4, 128256, 128000}};

bool is_pickle(std::span<const std::byte> bytes, const fs::path& file) {
  const std::string ending = file.extension().string();
  if (ending == ".pkl" || ending == ".pickle" || ending == ".pt" || ending == ".pth") return true;
  // Protocol 2 to 5, which every writer of today uses: its mark at the start, a full stop at the end.
  return bytes.size() > 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} && bytes[1] <= std::byte{5} &&
         bytes.back() == std::byte{'.'};
}

// Of meta.json beside the file; 0 if there is none.
int64_t vocab_beside(const fs::path& file) {
  const fs::path meta = file.parent_path() / "meta.json";
  std::error_code error;
  if (!fs::exists(meta, error)) return 0;
  const auto json = nlohmann::json::parse(read_text(meta, uint64_t{64} << 20), nullptr, false);
  const auto vocab = integer_of(json.is_object() ? json.value("vocab_size", nlohmann::json()) : nlohmann::json());
  if (vocab && *vocab > 0 && *vocab <= 65536) return *vocab;
  throw UserError(Exit::data, meta.string() + " says no vocabulary", "it needs \"vocab_size\": an integer up to 65536");
}

void add(TokenStorage& out, TokenSegment segment, int64_t vocab, int32_t document_start) {
  if (!out.segments.empty() && (out.vocab != vocab || out.document_start != document_start))
    throw UserError(Exit::data, segment.file + " is of another kind than " + out.segments[0].file,
                    "vocabulary " + std::to_string(vocab) + ", not " + std::to_string(out.vocab) +
                        "\nname files of one kind by a pattern");
  out.vocab = vocab;
  out.document_start = document_start;
  out.segments.push_back(std::move(segment));
}

void read_llmc(const LlmcKind& kind, std::span<const int32_t> header, std::span<const std::byte> bytes,
               const fs::path& file, TokenStorage& out) {
  if (header[1] != kind.version)
    throw UserError(Exit::data, file.string() + " is of version " + std::to_string(header[1]),
                    "of llm.c files with magic " + std::to_string(kind.magic) + ", version " +
                        std::to_string(kind.version) + " can be read");
  const auto count = static_cast<uint32_t>(header[2]);
  const uint64_t wanted = kHeader + uint64_t{count} * kind.width;
  if (bytes.size() != wanted || count == 0)
    throw UserError(Exit::corrupt, file.string() + " is " + (bytes.size() < wanted ? "cut off" : "damaged"),
                    "its header says " + std::to_string(count) + " tokens, so it should have " +
                        std::to_string(wanted) + " bytes; it has " + std::to_string(bytes.size()) +
                        "\nget the file again");
  TokenSegment segment{.file = file.string()};
  const std::byte* ids = bytes.data() + kHeader;
  if (kind.width == 2)
    segment.narrow = {reinterpret_cast<const uint16_t*>(ids), count};
  else
    segment.wide = {reinterpret_cast<const uint32_t*>(ids), count};
  add(out, std::move(segment), kind.vocab, kind.document_start);
}

}  // namespace

void read_shard(const fs::path& file, int64_t vocab, TokenStorage& out) {
  out.files.emplace_back(file);
  const auto bytes = out.files.back().bytes();
  if (bytes.empty()) throw UserError(Exit::data, file.string() + " is empty", "there are no tokens in it");
  if (is_pickle(bytes, file))
    throw UserError(Exit::data, file.string() + " is a Python pickle, which is not opened",
                    "a pickle can run any program\nname the .bin file, and the vocabulary:  --vocab N, or meta.json "
                    "beside it with {\"vocab_size\": N}");
  std::array<int32_t, kHeader / 4> header{};
  if (bytes.size() >= kHeader) std::memcpy(header.data(), bytes.data(), kHeader);
  for (const LlmcKind& kind : kLlmcKinds)
    if (header[0] == kind.magic) return read_llmc(kind, header, bytes, file, out);
  if (header[0] / 10000 == 2024 && header[1] > 0 && header[1] < 16)
    throw UserError(Exit::data, file.string() + " has magic " + std::to_string(header[0]),
                    "that is a file of llm.c, but not one of tokens (20240520 or 20240801)");

  if (vocab == 0) vocab = vocab_beside(file);
  if (vocab == 0)
    throw UserError(Exit::data, file.string() + " does not say its vocabulary",
                    "it has no header that is known, so it is taken for u16 tokens as nanoGPT writes them\n"
                    "say the vocabulary:  --vocab N, or put meta.json beside it with {\"vocab_size\": N}");
  if (bytes.size() % 2 != 0)
    throw UserError(Exit::corrupt, file.string() + " is cut off",
                    "it has " + std::to_string(bytes.size()) + " bytes, which is no number of u16 tokens");
  TokenSegment segment{.file = file.string()};
  segment.narrow = {reinterpret_cast<const uint16_t*>(bytes.data()), bytes.size() / 2};
  add(out, std::move(segment), vocab, -1);
}

}  // namespace rw
