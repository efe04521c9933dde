#include "data/tokenizer/tokenizer.hpp"

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "core/file/hash.hpp"
#include "data/tokenizer/kinds.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kMaxFile = uint64_t{256} << 20;
constexpr const char* kFileNames[] = {kBytesFile, kJsonFile, kSentencePieceFile};
constexpr char kNames[] = "tokenizer.json, tokenizer.model or tokenizer.bytes";

}  // namespace

std::string hash_of(const TokenizerFile& file) {
  Hash128 hash;
  hash.add(std::as_bytes(std::span(file.name.c_str(), file.name.size() + 1)));
  hash.add(std::as_bytes(std::span(file.bytes)));
  return hash.hex();
}

Tokenizer::Tokenizer(TokenizerFile file, std::vector<std::string> bytes, int32_t document_start, bool space_prefix)
    : file_(std::move(file)),
      hash_(hash_of(file_)),
      bytes_(std::move(bytes)),
      document_start_(document_start),
      space_prefix_(space_prefix) {}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (int32_t id : ids) {
    RW_CHECK(id >= 0 && id < vocab(), id, vocab());
    text += bytes(id);
  }
  if (space_prefix_ && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::unique_ptr<Tokenizer> make_tokenizer(TokenizerFile file) {
  if (file.name == kBytesFile) {
    auto tokenizer = make_bytes_tokenizer();
    if (file.bytes != tokenizer->file().bytes)
      throw UserError(Exit::data, file.name + " is not a tokenizer of bytes", "its content is not the one line it has");
    return tokenizer;
  }
  if (file.name == kSentencePieceFile) return make_sentencepiece_tokenizer(std::move(file));
  if (file.name == kJsonFile) return make_json_tokenizer(std::move(file));
  throw UserError(Exit::data, "unknown tokenizer file " + file.name,
                  std::string("a tokenizer's file is named ") + kNames);
}

std::unique_ptr<Tokenizer> load_tokenizer(const fs::path& path) {
  if (path == "bytes") return make_bytes_tokenizer();
  std::error_code error;
  fs::path file = path;
  if (fs::is_directory(path, error)) {
    std::vector<fs::path> found;
    for (const fs::path& folder : {path, path / "tokenizer"}) {
      for (const char* name : kFileNames)
        if (fs::exists(folder / name, error)) found.push_back(folder / name);
      if (!found.empty()) break;
    }
    if (found.size() == 2 && found[0].filename() == kJsonFile) found.pop_back();
    if (found.size() > 1)
      throw UserError(Exit::data, "two tokenizers in " + found[0].parent_path().string(), "name one of the files");
    if (found.empty())
      throw UserError(
          Exit::data, "no tokenizer in " + path.string(),
          std::string("there is no ") + kNames +
              " in it or in its folder tokenizer/\n"
              "make one:  ropewalk tokenizer train --out tok TEXT...   or use the bytes:  --tokenizer bytes");
    file = found[0];
  } else if (!fs::exists(path, error)) {
    throw UserError(Exit::data, "no tokenizer " + path.string(),
                    "there is no such file or folder\n"
                    "make one:  ropewalk tokenizer train --out tok TEXT...   or use the bytes:  --tokenizer bytes");
  }
  // Any file name will do for a SentencePiece model, any with .json for the other; what is stored has the one name.
  const std::string name = file.filename() == kBytesFile ? kBytesFile
                           : file.extension() == ".json" ? kJsonFile
                                                         : kSentencePieceFile;
  try {
    return make_tokenizer({name, read_text(file, kMaxFile)});
  } catch (const UserError& why) {
    if (std::string_view(why.what()).find(file.string()) != std::string_view::npos) throw;
    throw UserError(why.code, file.string() + ": " + why.what(), why.advice);
  }
}

void save_tokenizer(const TokenizerFile& file, const fs::path& folder) {
  create_folders(folder);
  write_text(folder / file.name, file.bytes);
}

}  // namespace rw
