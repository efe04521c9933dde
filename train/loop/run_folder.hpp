// The folder of one run:
//   run.toml  command.txt  log.txt  metrics.jsonl  samples.md  tb/  tokenizer/  checkpoints/
//   .lock          held while a process trains here
//   STOP, SAVE     made by the user (touch) to stop after saving, and to save now
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/checkpoint/checkpoint.hpp"

namespace rw {

class RunFolder {
 public:
  // A new run. An existing folder must be empty, or else a run folder and `overwrite` be given: then it is first
  // renamed to NAME.old-1 (or -2, ...). Throws UserError(Exit::write).
  static RunFolder create(const std::filesystem::path& folder, bool overwrite);
  // An existing run goes on. STOP and SAVE that an earlier process left are removed, and what it left half-written.
  // Throws UserError: Exit::data if there is no run, Exit::write.
  static RunFolder resume(const std::filesystem::path& folder);
  RunFolder(RunFolder&&) noexcept;
  RunFolder& operator=(RunFolder&&) = delete;
  ~RunFolder();  // gives up the lock

  const std::filesystem::path& path() const { return folder_; }
  const std::filesystem::path& moved_aside() const { return moved_aside_; }  // what create() renamed; empty if nothing
  std::filesystem::path checkpoints() const { return folder_ / "checkpoints"; }
  std::filesystem::path metrics() const { return folder_ / "metrics.jsonl"; }
  std::filesystem::path tensorboard() const { return folder_ / "tb"; }
  std::filesystem::path tokenizer() const { return folder_ / "tokenizer"; }

  // All of these throw UserError(Exit::write).
  void write_settings(std::string_view toml) const;                  // run.toml
  void write_command(std::span<const std::string> arguments) const;  // command.txt: a further paragraph
  void write_tokenizer(std::span<const TokenizerFile> files) const;  // tokenizer/
  void log(std::string_view line) const;                             // log.txt: a further line
  void add_sample(int64_t step, std::string_view about, std::string_view text) const;  // samples.md: a further section

  enum class Request { none, save, stop };
  Request requested() const;  // the user made STOP or SAVE; stop wins
  void honoured() const;      // removes both, after saving

 private:
  explicit RunFolder(std::filesystem::path folder);
  void append(const char* name, std::string_view text) const;

  std::filesystem::path folder_, moved_aside_;
  int lock_ = -1;
};

// The folder by its usual name. UserError(Exit::data) if it is not there or holds no run.
std::filesystem::path check_run(const std::filesystem::path& folder);
bool run_in_use(const std::filesystem::path& folder);  // a process trains there

// The arguments as a shell would have to be given them.
std::string shell_line(std::span<const std::string> arguments);

// What command.txt says: the command, date (UTC), version, compiler, host, processor, instruction set, threads, memory,
// libraries, folder and the environment's ROPEWALK_* and OMP_*.
std::string describe_process(std::span<const std::string> arguments);

}  // namespace rw
