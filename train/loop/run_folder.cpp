#include "train/loop/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <utility>

#include "core/base/isa.hpp"
#include "core/base/parallel.hpp"
#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "train/loop/libraries.hpp"
#include "train/loop/machine.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr const char *kLock = ".lock", *kStop = "STOP", *kSave = "SAVE";

fs::path normal(const fs::path& given) {
  const fs::path path = fs::absolute(given).lexically_normal();
  const fs::path name = path.has_filename() ? path : path.parent_path();
  return given.is_absolute() ? name : name.lexically_proximate(fs::current_path());
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

bool is_run(const fs::path& folder) {
  return std::ranges::any_of(std::initializer_list<const char*>{"run.toml", "command.txt", kLock, "checkpoints"},
                             [&](const char* name) { return is_there(folder / name); });
}

// Nothing in it but a lock.
bool holds_nothing(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().filename() != kLock) return false;
  if (error) throw write_error(folder, error.value());
  return true;
}

// What processes that were killed left half-written. A failure does no harm: the next save tries again, and warns.
void remove_abandoned(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> abandoned;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored))
    if (is_abandoned(it->path())) abandoned.push_back(it->path());
  for (const fs::path& path : abandoned) fs::remove_all(path, ignored);
}

UserError holds_a_run(const fs::path& folder) {
  return UserError(Exit::write, folder.string() + " holds a run already",
                   "go on with it:  ropewalk resume " + folder.string() +
                       "\nor begin anew, with the old one moved aside:  --overwrite");
}

// NAME.old-N with the first N that is free.
fs::path move_aside(const fs::path& folder) {
  for (int n = 1;; ++n) {
    const fs::path aside = folder.string() + ".old-" + std::to_string(n);
    if (is_there(aside)) continue;
    move(folder, aside);
    return aside;
  }
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts;
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

}  // namespace

RunFolder::RunFolder(fs::path folder) : folder_(std::move(folder)) {
  const fs::path file = folder_ / kLock;
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) throw write_error(file, errno);
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) {
    const std::string text = std::to_string(::getpid()) + '\n';
    if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, text.data(), text.size(), 0) < 0) {
      const int error_number = errno;
      ::close(lock_);
      throw write_error(file, error_number);
    }
    return;
  }
  const int error_number = errno;
  char owner[16] = {};
  const ssize_t length = ::pread(lock_, owner, sizeof owner - 1, 0);
  ::close(lock_);
  if (error_number != EWOULDBLOCK) throw write_error(file, error_number);
  const std::string number(owner, static_cast<size_t>(std::max<ssize_t>(length - 1, 0)));
  throw UserError(Exit::write, folder_.string() + " is in use",
                  "process " + number + " trains there, and holds " + file.string() +
                      "\nwait for it, stop it with:  touch " + (folder_ / kStop).string() +
                      "\nor choose another folder");
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : folder_(std::move(other.folder_)),
      moved_aside_(std::move(other.moved_aside_)),
      lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

RunFolder RunFolder::create(const fs::path& given, bool overwrite) {
  const fs::path folder = normal(given);
  std::error_code ignored;
  fs::path aside;
  if (is_there(folder)) {
    if (!fs::is_directory(folder, ignored))
      throw UserError(Exit::write, folder.string() + " is not a folder", "choose another name for the run");
    if (!holds_nothing(folder)) {
      if (!is_run(folder))
        throw UserError(Exit::write, folder.string() + " is not empty",
                        "what is in it is not a run, so it is left alone\nchoose another folder");
      if (!overwrite) throw holds_a_run(folder);
      const RunFolder old(folder);  // nobody trains there
      aside = move_aside(folder);
    }
  }
  create_folders(folder);
  RunFolder run(folder);
  if (!holds_nothing(folder)) throw holds_a_run(folder);  // another process was faster
  run.moved_aside_ = aside;
  sync_folder(folder.has_parent_path() ? folder.parent_path() : ".");
  return run;
}

fs::path check_run(const fs::path& given) {
  const fs::path folder = normal(given);
  if (!is_there(folder))
    throw UserError(Exit::data, "there is no " + folder.string(), "the folder of a run is expected");
  if (!is_run(folder)) throw UserError(Exit::data, folder.string() + " holds no run", "begin one:  ropewalk pretrain");
  return folder;
}

bool run_in_use(const fs::path& folder) {
  const int lock = ::open((folder / kLock).c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return false;
  const bool taken = ::flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(lock);
  return taken;
}

RunFolder RunFolder::resume(const fs::path& given) {
  const fs::path folder = check_run(given);
  RunFolder run(folder);
  run.honoured();
  for (const fs::path& part : {folder, run.checkpoints()}) remove_abandoned(part);
  return run;
}

void RunFolder::write_settings(std::string_view toml) const { write_text(folder_ / "run.toml", toml); }

void RunFolder::write_command(std::span<const std::string> arguments) const {
  append("command.txt", describe_process(arguments) + '\n');
}

void RunFolder::write_tokenizer(std::span<const TokenizerFile> files) const {
  create_folders(tokenizer());
  for (const TokenizerFile& file : files) write_text(tokenizer() / file.name, file.bytes);
}

void RunFolder::log(std::string_view line) const { append("log.txt", std::string(line) + '\n'); }

void RunFolder::add_sample(int64_t step, std::string_view about, std::string_view text) const {
  std::string section = "## step " + std::to_string(step) + ", " + utc_now() + '\n';
  if (!about.empty()) section += '\n' + std::string(about) + '\n';
  section += "\n    ";  // an indented block: the text may hold anything
  for (char c : text) section += c == '\n' ? std::string("\n    ") : std::string(1, c);
  append("samples.md", section + "\n\n");
}

void RunFolder::append(const char* name, std::string_view text) const {
  const fs::path path = folder_ / name;
  File file = is_there(path) ? File::modify(path) : File::create(path);
  file.write(file.size(), std::as_bytes(std::span(text)));
}

RunFolder::Request RunFolder::requested() const {
  if (is_there(folder_ / kStop)) return Request::stop;
  return is_there(folder_ / kSave) ? Request::save : Request::none;
}

void RunFolder::honoured() const {
  for (const char* name : {kStop, kSave}) {
    std::error_code error;
    fs::remove(folder_ / name, error);
    if (error) throw write_error(folder_ / name, error.value());
  }
}

std::string shell_line(std::span<const std::string> arguments) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) {
      line += argument;
      continue;
    }
    line += '\'';
    for (char c : argument) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

std::string describe_process(std::span<const std::string> arguments) {
  char host[256] = "unknown";
  (void)::gethostname(host, sizeof host - 1);
  std::string library_list;
  for (const Library& library : libraries())
    library_list += (library_list.empty() ? "" : ", ") + library.name + ' ' + library.version;
  std::string text = shell_line(arguments) + "\n  date         " + utc_now() +
                     "\n  version      " RW_VERSION "\n  compiler     " __VERSION__ "\n  host         " + host +
                     "\n  processor    " + processor_name() + "\n  instructions " + isa_name() + "\n  threads      " +
                     std::to_string(threads()) + " of " + std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) +
                     "\n  memory       " + bytes_text(total_memory()) + "\n  libraries    " + library_list +
                     "\n  folder       " + fs::current_path().string() + '\n';
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view entry = *variable;
    if (entry.starts_with("ROPEWALK_") || entry.starts_with("OMP_")) variables.emplace_back(entry);
  }
  std::ranges::sort(variables);
  for (const std::string& variable : variables) text += "  " + shell_line(std::span(&variable, 1)) + '\n';
  return text;
}

}  // namespace rw
