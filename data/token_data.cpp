#include "data/token_data.hpp"

#include <glob.h>

#include <algorithm>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "data/token_storage.hpp"

namespace rw {

namespace fs = std::filesystem;

struct TokenData::Storage : TokenStorage {};

namespace {

bool is_pattern(const fs::path& path) { return path.string().find_first_of("*?") != std::string::npos; }

std::vector<fs::path> matches(const fs::path& pattern) {
  glob_t found{};
  std::vector<fs::path> files;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  std::ranges::sort(files);
  return files;
}

// The file of the split in a folder; empty if there is none.
fs::path file_in(const fs::path& folder, Split split) {
  std::error_code error;
  for (const char* ending : {".h5", ".bin"}) {
    const fs::path file = folder / (std::string(name_of(split)) + ending);
    if (fs::exists(file, error)) return file;
  }
  return {};
}

std::vector<fs::path> files_of(const fs::path& path, Split split) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const fs::path file = file_in(path, split);
    if (!file.empty()) return {file};
    const std::string name = name_of(split);
    throw UserError(Exit::data, "no " + name + " data in " + path.string(),
                    "there is no " + name + ".h5 or " + name +
                        ".bin in it\n"
                        "prepare them:  ropewalk data prepare --tokenizer TOK --out data --val 5% TEXT...");
  }
  if (is_pattern(path)) {
    const auto files = matches(path);
    if (files.empty()) throw UserError(Exit::data, "no file matches " + path.string());
    return files;
  }
  if (!fs::exists(path, error))
    throw UserError(Exit::data, "no data " + path.string(),
                    "there is no such file or folder\n"
                    "prepare it:  ropewalk data prepare --tokenizer TOK --out data --val 5% TEXT...");
  return {path};
}

template <class T>
void check_ids(std::span<const T> ids, int64_t vocab, const std::string& file, const std::string& advice) {
  T most = 0;
  for (T id : ids) most = std::max(most, id);
  if (most < vocab) return;
  const auto bad = std::ranges::find_if(ids, [&](T id) { return id >= vocab; });
  throw UserError(Exit::data,
                  file + ": token " + std::to_string(bad - ids.begin()) + " is " + std::to_string(*bad) +
                      ", the vocabulary has " + std::to_string(vocab),
                  advice);
}

// Ids at [at, at + to.size()) of one segment.
void copy_ids(const TokenSegment& segment, uint64_t at, std::span<int32_t> to) {
  const auto convert = [](auto id) { return static_cast<int32_t>(id); };
  if (segment.narrow.empty())
    std::ranges::transform(segment.wide.subspan(at, to.size()), to.begin(), convert);
  else
    std::ranges::transform(segment.narrow.subspan(at, to.size()), to.begin(), convert);
}

void find_starts(TokenStorage& storage) {
  storage.found_starts.push_back(0);
  for (const TokenSegment& segment : storage.segments)
    for (uint64_t i = 0; storage.document_start >= 0 && i < segment.size(); ++i) {
      int32_t id;
      copy_ids(segment, i, std::span(&id, 1));
      if (id == storage.document_start && segment.begin + i > 0) storage.found_starts.push_back(segment.begin + i);
    }
  storage.document_starts = storage.found_starts;
}

}  // namespace

const char* name_of(Split split) { return split == Split::train ? "train" : "val"; }

TokenData::TokenData(TokenData&&) noexcept = default;
TokenData& TokenData::operator=(TokenData&&) noexcept = default;
TokenData::~TokenData() = default;

bool TokenData::has(const fs::path& path, Split split) {
  std::error_code error;
  if (fs::is_directory(path, error)) return !file_in(path, split).empty();
  return split == Split::train && (is_pattern(path) ? !matches(path).empty() : fs::exists(path, error));
}

TokenData TokenData::open(const fs::path& path, Split split, int64_t vocab) {
  const std::vector<fs::path> files = files_of(path, split);
  auto storage = std::make_unique<Storage>();
  const bool ours = files[0].extension() == ".h5";
  if (ours && files.size() > 1)
    throw UserError(Exit::data, path.string() + " names several token files", "name them as a mixture:  a.h5,b.h5");
  if (ours)
    read_container(files[0], *storage);
  else
    for (const fs::path& file : files) read_shard(file, vocab, *storage);
  if (vocab != 0 && vocab < storage->vocab)
    throw UserError(Exit::data, path.string() + " has a vocabulary of " + std::to_string(storage->vocab),
                    std::to_string(vocab) + " are too few; leave out --vocab, or give a larger one");

  TokenData data;
  for (TokenSegment& segment : storage->segments) {
    segment.begin = data.size_;
    data.size_ += segment.size();
    const std::string advice = ours ? "prepare it again" : "was it made with another tokenizer? then say:  --vocab N";
    check_ids(segment.narrow, storage->vocab, segment.file, advice);
    check_ids(segment.wide, storage->vocab, segment.file, advice);
  }
  if (!ours) find_starts(*storage);
  data.name_ = files.size() == 1 ? files[0].string() : path.string();
  data.vocab_ = storage->vocab;
  data.bytes_ = storage->bytes;
  data.targets_ = data.size_ - 1 - storage->all_prompt_tokens;
  data.tokenizer_ = storage->tokenizer;
  data.tokenizer_hash_ = storage->tokenizer_hash;
  data.storage_ = std::move(storage);
  return data;
}

void TokenData::read(uint64_t at, std::span<int32_t> to) const {
  RW_CHECK(to.size() <= size_ && at <= size_ - to.size(), name_, at, to.size(), size_);
  const auto& segments = storage_->segments;
  auto segment = std::ranges::upper_bound(segments, at, {}, &TokenSegment::begin) - 1;
  while (!to.empty()) {
    const uint64_t n = std::min<uint64_t>(to.size(), segment->begin + segment->size() - at);
    copy_ids(*segment, at - segment->begin, to.first(n));
    to = to.subspan(n);
    at += n;
    ++segment;
  }
}

int32_t TokenData::token(uint64_t at) const {
  int32_t id;
  read(at, std::span(&id, 1));
  return id;
}

std::span<const uint64_t> TokenData::document_starts() const { return storage_->document_starts; }

std::span<const uint64_t> TokenData::prompt_tokens() const { return storage_->prompt_tokens; }

std::string_view TokenData::meta() const {
  return storage_->container ? storage_->container->text("/meta") : std::string_view();
}

uint64_t TokenData::document_start_of(uint64_t at) const {
  RW_CHECK(at < size_, name_, at, size_);
  return *(std::ranges::upper_bound(document_starts(), at) - 1);
}

}  // namespace rw
