#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "core/base/isa.hpp"
#include "core/base/parallel.hpp"
#include "core/device/choose.hpp"
#include "core/file/atomic.hpp"
#include "core/file/container.hpp"
#include "core/file/file.hpp"
#include "train/doctor/checks.hpp"
#include "train/loop/libraries.hpp"
#include "train/loop/machine.hpp"

namespace rw::doctor {

namespace fs = std::filesystem;
using State = Check::State;

namespace {

constexpr double kFewMemory = 5e8, kFewDisk = 1e9;  // bytes
constexpr double kSlowSync = 0.5;                   // seconds

// A folder of this process in `folder`; removed with what is in it.
class Scratch {
 public:
  explicit Scratch(const fs::path& folder) : path_(temporary_name(folder / "ropewalk-doctor")) {
    std::error_code ignored;
    if (!fs::exists(folder, ignored)) throw UserError(Exit::data, "there is no " + folder.string());
    create_folders(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Check wrong(std::string name, Exit exit, std::string text, std::string advice) {
  return {State::wrong, std::move(name), std::move(text), std::move(advice), exit};
}

Check ok(std::string name, std::string text, std::string advice = {}) {
  return {State::ok, std::move(name), std::move(text), std::move(advice)};
}

// What a check finds, or the UserError that it throws.
template <class F>
Check guarded(const std::string& name, F&& f) {
  try {
    return f();
  } catch (const UserError& error) {
    return wrong(name, error.code, error.what(), error.advice);
  }
}

int available_threads() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

Check check_processor(int threads, int available) {
  const std::string text =
      processor_name() + ", " + std::to_string(threads) + " threads on " + std::to_string(available) + " cores";
  if (threads > available)
    return ok("processor", text,
              "more threads than cores only wait for each other: --threads " + std::to_string(available));
  if (threads < available)
    return ok("processor", text, "cores stay idle; OMP_NUM_THREADS or the system limits the threads");
  return ok("processor", text);
}

Check check_instructions(const std::string& isa) {
  const bool fast = isa.starts_with("AVX");
  const char* limit = std::getenv("ROPEWALK_ISA");
  const std::string limited = limit && *limit ? std::string("limited by ROPEWALK_ISA=") + limit : "";
  if (fast) return ok("instructions", isa, limited);
  return ok("instructions", isa,
            "without AVX2 results are right, but training is slow" + (limited.empty() ? "" : ": " + limited));
}

Check check_memory(double total, double available) {
  const std::string text = bytes_text(available) + " available of " + bytes_text(total);
  if (available < kFewMemory)
    return wrong("memory", Exit::memory, text, "end other programs; ropewalk estimate says what a model needs");
  return ok("memory", text);
}

Check check_libraries(const std::string& mismatch) {
  if (!mismatch.empty())
    return wrong("libraries", Exit::internal, mismatch,
                 "install the packages that train/packages names, and build again");
  std::string text;
  for (const Library& library : libraries()) text += (text.empty() ? "" : ", ") + library.name + " " + library.version;
  return ok("libraries", text);
}

Check check_disk(const fs::path& folder, double needed) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error)
    return wrong("disk", Exit::data, "cannot look at " + folder.string() + ": " + error.message(),
                 "name a folder that is there:  ropewalk doctor FOLDER");
  const auto free = static_cast<double>(space.available);
  const std::string text = bytes_text(free) + " free in " + fs::weakly_canonical(folder, error).string();
  if (free < needed)
    return wrong("disk", Exit::write, text,
                 "a run keeps up to four checkpoints: free some space, or put runs elsewhere");
  return ok("disk", text);
}

Check check_files(const fs::path& folder) {
  return guarded("files", [&] {
    const Scratch scratch(folder);
    const fs::path file = scratch.path() / "file";
    const auto begin = std::chrono::steady_clock::now();
    write_text(file, "one");
    write_text(file, "two");
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 2;
    if (read_text(file, 16) != "two")
      return wrong("files", Exit::write, "a file does not hold what was written to it",
                   "put runs on another file system");
    const int first = ::open(file.c_str(), O_RDWR | O_CLOEXEC), second = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    const bool taken = ::flock(first, LOCK_EX | LOCK_NB) == 0;
    const bool kept = taken && ::flock(second, LOCK_EX | LOCK_NB) != 0;
    ::close(first);
    ::close(second);
    if (!kept)
      return wrong("files", Exit::write, "files cannot be locked",
                   "two processes could train in one folder: put runs on another file system");
    char text[64];
    std::snprintf(text, sizeof text, "locks hold, a flush to the disk takes %.0f ms", 1000 * took);
    return ok("files", text, took > kSlowSync ? "saving a checkpoint will take long here" : "");
  });
}

Check check_container(const fs::path& folder) {
  return guarded("HDF5", [&] {
    const Scratch scratch(folder);
    std::vector<float> values(5000);
    for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
    const ContainerItem items[] = {
        {.path = "/values", .type = FileType::f32, .shape = {50, 100}, .bytes = std::as_bytes(std::span(values))},
        text_item("/text", "rope")};
    write_container(scratch.path() / "test.h5", items);
    const Container back = Container::open(scratch.path() / "test.h5");
    const auto read = back.array<float>(back.at("/values", FileType::f32));
    if (!std::ranges::equal(read, values) || back.text("/text") != "rope")
      return wrong("HDF5", Exit::corrupt, "what was read is not what was written", "look at the disk and the memory");
    return ok("HDF5", "a container was written, read back and is the same");
  });
}

Check check_gpu() {
  return guarded("GPU", [] {
    const ChosenDevice chosen = choose_device("auto");
    if (!chosen.why_cpu.empty()) return Check{State::absent, "GPU", "training is on the CPU: " + chosen.why_cpu, {}};
    Check check = check_training(1, chosen.device);
    if (check.state == State::ok) {
      const Check in_bf16 = check_training(1, chosen.device, DType::bf16);
      if (in_bf16.state == State::ok)
        check.text += ", in bf16 too";
      else
        check = in_bf16;
    }
    check.name = "GPU", check.text = describe(chosen.device) + ": " + check.text;
    return check;
  });
}

std::vector<Check> examine(const fs::path& folder) {
  return {check_processor(threads(), available_threads()),
          check_instructions(isa_name()),
          check_memory(total_memory(), available_memory()),
          check_libraries(library_mismatch()),
          check_disk(folder, kFewDisk),
          check_files(folder),
          check_container(folder),
          check_products(our_products()),
          check_training(),
          check_gpu(),
          {State::absent, "NCCL", "not built in: training is in one process", {}}};
}

}  // namespace rw::doctor
