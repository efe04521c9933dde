// A checkpoint: all that a run needs to go on as if it had never stopped. A folder RUN/checkpoints/step-000123 with a
// sealed container in it, checkpoint.h5 and its manifest:
//   /meta               text: JSON of CheckpointMeta
//   /model/<name>       a parameter, by the name and of the shape that other tools know it by
//   /optim/m/<name>     AdamW's moments, of the same shape; absent where there is no optimizer state
//   /optim/v/<name>
//   /tokenizer/<file>   bytes
// Beside the folders lie `latest` and `best`, files of one line with the name of one.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ctx.hpp"
#include "core/file/container.hpp"
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

// A tensor of the state and where it is in memory: read by save_checkpoint, written by Checkpoint::load. f32 or f64, a
// value without moments also bf16, on the CPU, rank 1 to 4. m and v are both given or both empty.
struct StateTensor {
  std::string name;  // printable ASCII
  View value, m, v;
};

// The values in bf16, rounded: what a StateTensor without moments may hold.
Buffer narrowed(CView value);

// The tensors of a parameter, one for each of its parts. m and v have its shape, or are empty.
void add_state(std::vector<StateTensor>& to, const Param& param, View m = {}, View v = {});

struct CheckpointMeta {
  int64_t step = 0;                          // optimizer steps done
  int64_t tokens = 0;                        // seen in training
  std::optional<double> val_loss, best_val;  // nats per token: at this step, and the lowest so far
  std::map<std::string, double> state;       // whatever else goes on: moving averages, seconds of training, ...
  std::string model;                         // configuration of the model: JSON
  std::string settings;                      // of the run: TOML
  std::string tokenizer_hash, rope_fingerprint;
  std::vector<int64_t> ends;             // ids that end a text, besides the tokenizer's document_start
  std::string command, version, parent;  // parent: the checkpoint that the run started from
  bool operator==(const CheckpointMeta&) const = default;
};

struct SaveOptions {
  int64_t keep = 2;   // the newest ones that stay, at least 1; the best stays besides
  bool best = false;  // this is the best so far
};
struct SavedCheckpoint {
  std::filesystem::path folder;
  uint64_t bytes = 0;                 // of the tensors
  std::vector<std::string> warnings;  // it is saved, but older ones could not be removed
};

// Writes checkpoints/step-<meta.step> and makes the folders above it. On return it is on the disk, was read back and is
// named by `latest` (and by `best`). Only then are older ones removed, together with what dead processes left, and with
// the checkpoints of later steps: those belong to a course that this run has left, by going on from an earlier step.
// No second copy of the state is made in memory. A checkpoint of the same step is replaced.
// Throws UserError(Exit::write), naming the file and the reason: then all older checkpoints are as they were.
SavedCheckpoint save_checkpoint(const std::filesystem::path& checkpoints, const CheckpointMeta& meta,
                                std::span<const StateTensor> tensors, std::span<const TokenizerFile> tokenizer,
                                SaveOptions options = {});

// Weights only, in a new folder: out/checkpoints/step-<meta.step>, and out/tokenizer/ where there is a tokenizer.
// Throws as save_checkpoint; UserError(Exit::write) also if `out` holds something already.
SavedCheckpoint save_weights(const std::filesystem::path& out, const CheckpointMeta& meta,
                             std::span<const StateTensor> tensors, const std::optional<TokenizerFile>& tokenizer);

class Checkpoint {
 public:
  // `path` is a checkpoint's folder (or the checkpoint.h5 in it), a run folder or its folder of checkpoints: then the
  // newest good one is taken, and `skipped` says of each damaged one before it what is wrong; or one of the files
  // `latest` and `best`. Everything is read and hashed before it is used. Pickles are never opened.
  // Throws UserError: Exit::data if this is not a checkpoint, or not one of this version; Exit::corrupt if it is
  // damaged, or if no good one is left, with the reason for each.
  static Checkpoint open(const std::filesystem::path& path, std::vector<std::string>* skipped = nullptr);

  struct Tensor {
    std::string name;
    CView value;  // the mapped file: read-only, valid while this lives
    CView m, v;   // empty without optimizer state
  };

  const std::filesystem::path& folder() const { return folder_; }
  const CheckpointMeta& meta() const { return meta_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Tensor* find(std::string_view name) const;  // null if there is none
  bool has_optimizer() const;                       // m and v of every tensor
  std::vector<TokenizerFile> tokenizer() const;

  // Copies all into `to`: m and v too, for tensors that have them there. Names, shapes and types must agree exactly,
  // nothing may be missing or left over: else UserError(Exit::data) that names the tensors, and `to` is untouched.
  // Only a value without moments may be of a wider type in `to`.
  void load(std::span<const StateTensor> to) const;

 private:
  Checkpoint(std::filesystem::path folder, Container container);
  static Checkpoint open_one(const std::filesystem::path& folder_or_file);
  static Checkpoint open_newest(const std::filesystem::path& checkpoints, std::vector<std::string>* skipped);

  std::filesystem::path folder_;
  Container container_;
  CheckpointMeta meta_;
  std::vector<Tensor> tensors_;
};

}  // namespace rw
