#include <algorithm>

#include "core/base/user_error.hpp"
#include "core/file/file.hpp"
#include "train/checkpoint/checkpoint.hpp"
#include "train/checkpoint/retention.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr const char *kFile = "checkpoint.h5", *kManifest = "checkpoint.h5.manifest.json";

// Why a file that is no HDF5 file is not a checkpoint. Looks at its first bytes only.
UserError refused(const fs::path& path) {
  const std::string name = path.string();
  char head[8] = {};
  const File file = File::open(path);
  const uint64_t size = file.size();
  file.read(0, std::as_writable_bytes(std::span(head)).first(std::min<uint64_t>(size, sizeof head)));
  const std::string_view start(head, sizeof head);
  const bool pickle = start[0] == '\x80' && start[1] >= 1 && start[1] <= 5;
  if (pickle || start.starts_with("PK\x03\x04"))
    return UserError(
        Exit::data, name + (pickle ? " is a pickle" : " is a zip archive, as torch.save makes to hold a pickle"),
        "a pickle can run any program when it is opened: it was not opened, and never is\n"
        "save the model as safetensors, in a Hugging Face folder:  ropewalk import hf FOLDER --out CHECKPOINT");
  if (start.starts_with("GGUF"))
    return UserError(Exit::data, name + " is a GGUF file, not a checkpoint",
                     "ropewalk import gguf " + name + " --out CHECKPOINT");
  if (path.extension() == ".safetensors")
    return UserError(
        Exit::data, name + " is a safetensors file, not a checkpoint",
        "ropewalk import hf " + (path.has_parent_path() ? path.parent_path().string() : ".") + " --out CHECKPOINT");
  return UserError(Exit::data, name + " is not a checkpoint",
                   "give a run folder, or a folder like RUN/checkpoints/step-000123");
}

bool is_hdf5(const fs::path& path) {
  char head[8] = {};
  const File file = File::open(path);
  if (file.size() < sizeof head) return false;
  file.read(0, std::as_writable_bytes(std::span(head)));
  return std::string_view(head, sizeof head) == "\x89HDF\r\n\x1a\n";
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Why a folder is neither a checkpoint nor holds any.
UserError refused_folder(const fs::path& path) {
  const std::string name = path.string();
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".safetensors")
      return UserError(Exit::data, name + " holds no checkpoint, but a safetensors model",
                       "ropewalk import hf " + name + " --out CHECKPOINT");
    if (extension == ".gguf") return refused(it->path());
    if (extension == ".pt" || extension == ".pth" || extension == ".bin" || extension == ".pkl") {
      const fs::path file = it->path();
      if (fs::is_regular_file(file, error) && !is_hdf5(file)) return refused(file);
    }
  }
  if (error) return UserError(Exit::data, "cannot read " + name, error.message());
  return UserError(Exit::data, name + " holds no checkpoint",
                   "give a run folder, or a folder like RUN/checkpoints/step-000123");
}

}  // namespace

Checkpoint Checkpoint::open_one(const fs::path& path) {
  if (!is_folder(path)) return Checkpoint(path.filename() == kFile ? path.parent_path() : path, Container::open(path));
  for (const char* name : {kFile, kManifest})
    if (!is_there(path / name))
      throw UserError(Exit::corrupt, path.string() + " is damaged", std::string("it has no ") + name);
  Checkpoint checkpoint(path, Container::open(path / kFile));
  const auto step = step_of(path);
  if (step && *step != checkpoint.meta().step)
    throw UserError(Exit::corrupt, path.string() + " has another name than it was saved under",
                    "it holds step " + std::to_string(checkpoint.meta().step));
  return checkpoint;
}

Checkpoint Checkpoint::open_newest(const fs::path& checkpoints, std::vector<std::string>* skipped) {
  std::string reasons;
  const std::string latest = read_pointer(checkpoints / "latest");
  if (!latest.empty() && !is_there(checkpoints / latest)) {
    reasons = latest + ": named by `latest`, but it is not there\n";
    if (skipped) skipped->push_back(reasons.substr(0, reasons.size() - 1));
  }
  for (int64_t step : list_steps(checkpoints)) {
    const fs::path folder = checkpoints / step_name(step);
    try {
      return open_one(folder);
    } catch (const UserError& error) {
      if (error.code != Exit::data && error.code != Exit::corrupt) throw;
      const std::string reason = std::string(error.what()) + ": " + error.advice.substr(0, error.advice.find('\n'));
      if (skipped) skipped->push_back(reason);
      reasons += reason + '\n';
    }
  }
  if (reasons.empty())
    throw UserError(Exit::data, checkpoints.string() + " holds no checkpoint", "the run has not saved one yet");
  throw UserError(Exit::corrupt, checkpoints.string() + " holds no good checkpoint",
                  reasons.substr(0, reasons.size() - 1));
}

Checkpoint Checkpoint::open(const fs::path& given, std::vector<std::string>* skipped) {
  fs::path path = given.lexically_normal();
  if (path.has_parent_path() && !path.has_filename()) path = path.parent_path();  // a/b/
  if (!is_there(path)) throw UserError(Exit::data, "there is no " + path.string(), "a checkpoint or a run is expected");
  if (!is_folder(path)) {
    if (path.filename() == "latest" || path.filename() == "best") {
      const std::string name = read_pointer(path);
      if (name.empty())
        throw UserError(Exit::corrupt, path.string() + " is damaged", "it does not hold the name of a checkpoint");
      return open_one(path.parent_path() / name);
    }
    if (!is_hdf5(path)) throw refused(path);
    return open_one(path);
  }
  if (is_there(path / kFile) || step_of(path)) return open_one(path);
  if (is_folder(path / "checkpoints")) return open_newest(path / "checkpoints", skipped);
  if (!list_steps(path).empty() || path.filename() == "checkpoints") return open_newest(path, skipped);
  throw refused_folder(path);
}

}  // namespace rw
