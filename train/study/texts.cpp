#include "train/study/texts.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/check.hpp"
#include "core/base/philox.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"

namespace rw::study {
namespace {

constexpr uint64_t kHeldOut = 1024;             // N
constexpr int64_t kSection = 4;                 // N
constexpr uint64_t kBlock = uint64_t{1} << 20;  // tokens written at once

// Draws in a row, of one purpose.
class Stream {
 public:
  Stream(uint64_t seed, std::string_view purpose) : key_(philox_key(seed)), purpose_(name_word(purpose)) {}

  int64_t below(int64_t count) {  // uniform in 0 .. count - 1
    const PhiloxCounter w =
        philox({static_cast<uint32_t>(index_), static_cast<uint32_t>(index_ >> 32), purpose_, 0}, key_);
    ++index_;
    return std::min(static_cast<int64_t>((1 - uniform(w[0], w[1])) * static_cast<double>(count)), count - 1);
  }

 private:
  PhiloxKey key_;
  uint32_t purpose_;
  uint64_t index_ = 0;
};

int64_t segment_length(int64_t context, Stream& draw) {
  const int64_t shortest = context / 4, longest = context * 5 / 8;
  return shortest + draw.below(longest - shortest + 1);
}

class Writer {
 public:
  explicit Writer(const std::filesystem::path& path) : file_(File::create(path)) {}

  void add(std::span<const int32_t> ids) {
    for (const int32_t id : ids) buffer_.push_back(static_cast<uint16_t>(id));
    if (buffer_.size() >= kBlock) flush();
  }
  // `segment` again and again, `count` tokens.
  void add_repeated(std::span<const int32_t> segment, int64_t count) {
    for (; count > 0; count -= std::min<int64_t>(count, std::ssize(segment)))
      add(segment.first(static_cast<size_t>(std::min<int64_t>(count, std::ssize(segment)))));
  }
  void close() {
    flush();
    file_.sync();
  }
  uint64_t size() const { return written_ / sizeof(uint16_t) + buffer_.size(); }

 private:
  void flush() {
    file_.write(written_, std::as_bytes(std::span(buffer_)));
    written_ += buffer_.size() * sizeof(uint16_t);
    buffer_.clear();
  }

  File file_;
  std::vector<uint16_t> buffer_;
  uint64_t written_ = 0;
};

void write_meta(const std::filesystem::path& folder, int64_t vocab) {
  write_text(folder / "meta.json", "{\"vocab_size\": " + std::to_string(vocab) + "}\n");
}

std::vector<int32_t> all_ids(int64_t vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(vocab));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

// The first `count` become a draw without replacement.
void shuffle(std::span<int32_t> ids, int64_t count, Stream& draw) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t other = i + draw.below(std::ssize(ids) - i);
    std::swap(ids[static_cast<size_t>(i)], ids[static_cast<size_t>(other)]);
  }
}

void write_copies(const std::filesystem::path& file, const CopyTexts& options, uint64_t tokens) {
  Writer writer(file);
  Stream draw(options.seed, file.filename().string());
  std::vector<int32_t> ids = all_ids(options.vocab);
  while (writer.size() < tokens) {
    const int64_t length = segment_length(options.context, draw);
    shuffle(ids, length, draw);
    writer.add_repeated(std::span(ids).first(static_cast<size_t>(length)), kSection * options.context);
  }
  writer.close();
}

void write_text_of(const std::filesystem::path& file, const TokenData& data) {
  Writer writer(file);
  std::vector<int32_t> ids;
  for (uint64_t at = 0; at < data.size(); at += ids.size()) {
    ids.resize(std::min(kBlock, data.size() - at));
    data.read(at, ids);
    writer.add(ids);
  }
  writer.close();
}

}  // namespace

void write_copy_texts(const std::filesystem::path& folder, const CopyTexts& options) {
  RW_CHECK(options.context >= 8 && options.vocab >= options.context && options.vocab <= 65536, options.context,
           options.vocab);
  const auto context = static_cast<uint64_t>(options.context);
  write_new_folder(folder, [&](const std::filesystem::path& to) {
    write_copies(to / "train.bin", options, options.tokens);
    write_copies(to / "val.bin", options, kHeldOut * context);
    Writer test(to / "test.bin");
    Stream draw(options.seed, "test.bin");
    std::vector<int32_t> ids = all_ids(options.vocab);
    while (test.size() < kHeldOut * context) {
      shuffle(ids, options.vocab, draw);
      test.add(ids);
    }
    test.close();
    write_meta(to, options.vocab);
  });
}

void write_mixed_texts(const std::filesystem::path& folder, const TokenData& train, const TokenData& val,
                       int64_t context, double share, uint64_t seed) {
  RW_CHECK(context >= 8 && share > 0 && share < 1, context, share);
  if (train.vocab() > 65536)
    throw UserError(Exit::usage,
                    "a study writes tokens of two bytes, and the vocabulary has " + std::to_string(train.vocab()),
                    "prepare the texts with a vocabulary up to 65536");
  if (train.size() < static_cast<uint64_t>(context))
    throw UserError(Exit::data, train.name() + " has " + std::to_string(train.size()) + " tokens",
                    "a study with texts of " + std::to_string(context) + " needs more");
  write_new_folder(folder, [&](const std::filesystem::path& to) {
    Writer writer(to / "train.bin");
    Stream draw(seed, "train.bin");
    const int64_t section = kSection * context;
    const uint64_t stretch = static_cast<uint64_t>(static_cast<double>(section) * (1 - share) / share) + 1;
    std::vector<int32_t> ids;
    for (uint64_t at = 0; at < train.size(); at += ids.size()) {
      ids.resize(std::min(stretch, train.size() - at));
      train.read(at, ids);
      writer.add(ids);
      std::vector<int32_t> passage(static_cast<size_t>(segment_length(context, draw)));
      train.read(static_cast<uint64_t>(draw.below(static_cast<int64_t>(train.size() - passage.size()) + 1)), passage);
      writer.add_repeated(passage, section);
    }
    writer.close();
    write_text_of(to / "val.bin", val);
    write_meta(to, train.vocab());
  });
}

}  // namespace rw::study
