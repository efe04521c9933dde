#include "core/file/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace rw {

UserError write_error(const std::filesystem::path& file, int error_number) {
  std::string advice = std::strerror(error_number);
  if (error_number == ENOSPC || error_number == EDQUOT)
    advice += "\nfree some space, or choose a folder on another disk";
  else if (error_number == EFBIG)
    advice += "\nfiles are limited in size here, by `ulimit -f` or by the file system";
  else if (error_number == EACCES || error_number == EPERM || error_number == EROFS)
    advice += "\nchoose a folder that you may write to";
  return UserError(Exit::write, "cannot write " + file.string(), advice);
}

namespace {

UserError read_error(const std::filesystem::path& file, int error_number) {
  return UserError(Exit::data, "cannot read " + file.string(), std::strerror(error_number));
}

// A write beyond `ulimit -f` then fails with EFBIG; by default its signal would kill the process.
void ignore_size_signal() { [[maybe_unused]] static const auto before = std::signal(SIGXFSZ, SIG_IGN); }

}  // namespace

File::File(std::filesystem::path path, int flags, Exit on_error) : path_(std::move(path)) {
  ignore_size_signal();
  do descriptor_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0666);
  while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) throw on_error == Exit::write ? write_error(path_, errno) : read_error(path_, errno);
}

File File::open(const std::filesystem::path& file) { return File(file, O_RDONLY | O_NONBLOCK, Exit::data); }
File File::create(const std::filesystem::path& file) { return File(file, O_RDWR | O_CREAT | O_TRUNC, Exit::write); }
File File::modify(const std::filesystem::path& file) { return File(file, O_RDWR, Exit::write); }
File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

uint64_t File::size() const {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0) throw read_error(path_, errno);
  if (!S_ISREG(status.st_mode))
    throw UserError(Exit::data, "cannot read " + path_.string(), "it is not a regular file");
  return static_cast<uint64_t>(status.st_size);
}

void File::read(uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t done = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw read_error(path_, errno);
    if (done == 0)
      throw UserError(Exit::corrupt, path_.string() + " ends too early", "it was cut off while being read");
    to = to.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
}

void File::write(uint64_t offset, std::span<const std::byte> from) {
  while (!from.empty()) {
    const ssize_t done = ::pwrite(descriptor_, from.data(), from.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) throw write_error(path_, done < 0 ? errno : ENOSPC);
    from = from.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
}

void File::sync() {
  int result;
  do result = ::fsync(descriptor_);
  while (result != 0 && errno == EINTR);
  if (result != 0) throw write_error(path_, errno);
}

void File::drop_cache() const { (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED); }

std::string read_text(const std::filesystem::path& path, uint64_t limit) {
  const File file = File::open(path);
  const uint64_t size = file.size();
  if (size > limit)
    throw UserError(Exit::data, path.string() + " is too large: " + std::to_string(size) + " bytes",
                    "at most " + std::to_string(limit) + " are read");
  std::string text(size, '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace rw
