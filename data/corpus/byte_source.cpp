#include "data/corpus/byte_source.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "core/file/file.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr size_t kPackedBlock = size_t{1} << 18;

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(const fs::path& name) : file_(File::open(name)), left_(file_.size()) {}
  size_t read(std::span<char> to) override {
    to = to.first(static_cast<size_t>(std::min<uint64_t>(to.size(), left_)));
    file_.read(at_, std::as_writable_bytes(to));
    at_ += to.size();
    left_ -= to.size();
    return to.size();
  }

 private:
  File file_;
  uint64_t at_ = 0, left_;
};

// What the two unpackers share: a block of packed bytes, refilled from the file.
class PackedSource : public ByteSource {
 public:
  explicit PackedSource(const fs::path& name) : name_(name), packed_(name), block_(kPackedBlock) {}

 protected:
  UserError damaged(const std::string& why) const {
    return UserError(Exit::data, "cannot unpack " + name_.string(), why + "\nget the file again");
  }
  bool refill() {  // false at the end of the file
    begin_ = 0;
    end_ = packed_.read(block_);
    return end_ > 0;
  }

  fs::path name_;
  PlainSource packed_;
  std::vector<char> block_;
  size_t begin_ = 0, end_ = 0;  // of what is not unpacked yet
};

constexpr const char* kCutOff = "its compressed data end too early: it is cut off";

class GzipSource : public PackedSource {
 public:
  explicit GzipSource(const fs::path& name) : PackedSource(name) {
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~GzipSource() override { ::inflateEnd(&stream_); }
  size_t read(std::span<char> to) override {
    size_t done = 0;
    while (done < to.size()) {
      if (begin_ == end_ && !refill()) {
        if (inside_) throw damaged(kCutOff);
        break;
      }
      if (!inside_ && ::inflateReset(&stream_) != Z_OK) throw damaged("zlib cannot start again");
      inside_ = true;
      stream_.next_in = reinterpret_cast<Bytef*>(block_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(end_ - begin_);
      stream_.next_out = reinterpret_cast<Bytef*>(to.data() + done);
      stream_.avail_out = static_cast<uInt>(std::min(to.size() - done, kPackedBlock));
      const uInt room = stream_.avail_out;
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      begin_ = end_ - stream_.avail_in;
      done += room - stream_.avail_out;
      if (result == Z_STREAM_END)
        inside_ = false;  // of one member; others may follow
      else if (result != Z_OK && result != Z_BUF_ERROR)
        throw damaged(std::string("its compressed data are damaged: ") + (stream_.msg ? stream_.msg : "zlib error"));
    }
    return done;
  }

 private:
  z_stream stream_{};
  bool inside_ = false;
};

class ZstdSource : public PackedSource {
 public:
  explicit ZstdSource(const fs::path& name) : PackedSource(name), context_(::ZSTD_createDCtx(), &::ZSTD_freeDCtx) {
    if (!context_) throw std::bad_alloc();
  }
  size_t read(std::span<char> to) override {
    size_t done = 0;
    while (done < to.size()) {
      if (begin_ == end_ && !flushing_ && !refill()) {
        if (inside_) throw damaged(kCutOff);
        break;
      }
      ZSTD_inBuffer in{block_.data(), end_, begin_};
      ZSTD_outBuffer out{to.data() + done, to.size() - done, 0};
      const size_t result = ::ZSTD_decompressStream(context_.get(), &out, &in);
      if (::ZSTD_isError(result))
        throw damaged(std::string("its compressed data are damaged: ") + ::ZSTD_getErrorName(result));
      begin_ = in.pos;
      done += out.pos;
      inside_ = result != 0;
      flushing_ = inside_ && out.pos == out.size;  // more may come without further input
    }
    return done;
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&::ZSTD_freeDCtx)> context_;
  bool inside_ = false, flushing_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const fs::path& name) {
  std::error_code error;
  if (fs::is_directory(name, error))
    throw UserError(Exit::data, name.string() + " is a folder",
                    "name the files in it, for instance " + (name / "*.txt").string());
  std::array<char, 4> first{};
  const size_t size = PlainSource(name).read(first);
  if (size == 0) throw UserError(Exit::data, name.string() + " is empty", "there is no text in it");
  const std::string_view magic(first.data(), size);
  if (magic.starts_with("\x1F\x8B")) return std::make_unique<GzipSource>(name);
  if (magic == "\x28\xB5\x2F\xFD") return std::make_unique<ZstdSource>(name);
  return std::make_unique<PlainSource>(name);
}

}  // namespace rw
