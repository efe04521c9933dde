#include "core/file/atomic.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "core/file/file.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMark = ".tmp-";

fs::path folder_of(const fs::path& name) { return name.has_parent_path() ? name.parent_path() : fs::path("."); }

}  // namespace

fs::path temporary_name(const fs::path& name) {
  return folder_of(name) / (name.filename().string() + std::string(kMark) + std::to_string(::getpid()));
}

bool is_abandoned(const fs::path& name) {
  const std::string text = name.filename().string();
  const size_t mark = text.rfind(kMark);
  if (mark == std::string::npos) return false;
  pid_t owner = 0;
  const auto [end, error] = std::from_chars(text.data() + mark + kMark.size(), text.data() + text.size(), owner);
  if (error != std::errc{} || owner <= 0) return false;
  return owner == ::getpid() || (::kill(owner, 0) != 0 && errno == ESRCH);
}

void write_text(const fs::path& file, std::string_view text) {
  const fs::path temporary = temporary_name(file);
  try {
    {
      File out = File::create(temporary);
      out.write(0, std::as_bytes(std::span(text)));
      out.sync();
    }
    move(temporary, file);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw write_error(to, errno);
  sync_folder(folder_of(to));
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw write_error(folder, errno);
  const int result = ::fsync(descriptor), error_number = errno;
  ::close(descriptor);
  if (result != 0 && error_number != EINVAL) throw write_error(folder, error_number);  // EINVAL: has no such thing
}

void create_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && !fs::is_directory(folder, error) && !error) error = std::make_error_code(std::errc::not_a_directory);
  if (error) throw write_error(folder, error.value());
}

void check_free_space(const fs::path& folder, uint64_t bytes) {
  struct statvfs status;
  if (::statvfs(folder.c_str(), &status) != 0) throw write_error(folder, errno);
  const uint64_t left = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
  if (left >= bytes) return;
  const auto mib = [](uint64_t n) { return std::to_string((n + (1 << 20) - 1) >> 20) + " MiB"; };
  throw UserError(Exit::write, "not enough space in " + folder.string(),
                  mib(bytes) + " are needed, " + std::to_string(left >> 20) +
                      " MiB are free\nfree some space, or choose a folder on another disk");
}

void replace_folder(const fs::path& with, const fs::path& folder) {
  if (::rename(with.c_str(), folder.c_str()) == 0) return sync_folder(folder_of(folder));
  if (errno != EEXIST && errno != ENOTEMPTY) throw write_error(folder, errno);
  if (::renameat2(AT_FDCWD, with.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    sync_folder(folder_of(folder));
    std::error_code ignored;  // what is left has a temporary name
    fs::remove_all(with, ignored);
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) throw write_error(folder, errno);
  remove_folder(folder);  // a file system that cannot exchange two names
  move(with, folder);
}

void write_new_folder(const fs::path& folder, const std::function<void(const fs::path&)>& fill) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(folder, ignored)) &&
      !(fs::is_directory(folder, ignored) && fs::is_empty(folder, ignored)))
    throw UserError(Exit::write, folder.string() + " is there already", "give another name, or remove it");
  const fs::path parent = folder_of(folder), temporary = temporary_name(folder);
  create_folders(parent);
  fs::remove_all(temporary, ignored);
  try {
    create_folders(temporary);
    fill(temporary);
    sync_folder(temporary);
    replace_folder(temporary, folder);
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
}

void remove_folder(const fs::path& folder) {
  const fs::path away = temporary_name(folder).string() + "-removed";
  std::error_code error;
  fs::remove_all(away, error);
  if (!error) fs::rename(folder, away, error);
  if (!error) fs::remove_all(away, error);
  if (error) throw write_error(folder, error.value());
}

}  // namespace rw
