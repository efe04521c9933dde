// The safetensors format:
//   u64 N, N bytes of JSON, tensors without gaps to the end of the file
//   JSON: {"__metadata__": {"format": "pt"}, NAME: {"dtype": "BF16", "shape": [..], "data_offsets": [begin, end]}, ...}
// Source: https://github.com/huggingface/safetensors
#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/mapped_file.hpp"
#include "train/exchange/values.hpp"

namespace rw {

inline constexpr uint64_t kMostSafetensorsHeader = 100'000'000;

// One file, mapped. Everything about it is checked before anything is used; memory is taken for the header only.
class SafetensorsFile {
 public:
  // Throws UserError(Exit::data), naming file and tensor: cut off, a header that is too long or not such JSON, an
  // unknown or integer dtype, shapes whose product wraps or disagrees with the offsets, overlaps, gaps, bytes left
  // over.
  explicit SafetensorsFile(const std::filesystem::path& file);

  const std::vector<ForeignTensor>& tensors() const { return tensors_; }  // in the order of the file

 private:
  MappedFile file_;
  std::vector<ForeignTensor> tensors_;
};

// The tensors of a folder: model.safetensors, or the files that model.safetensors.index.json names.
class SafetensorsFolder {
 public:
  // Throws UserError(Exit::data): as above; neither file is there; a shard is missing, lies outside of the folder, or
  // lacks a tensor that the index promises or has one that it does not.
  explicit SafetensorsFolder(const std::filesystem::path& folder);

  const std::vector<ForeignTensor>& tensors() const { return tensors_; }

 private:
  std::vector<SafetensorsFile> files_;
  std::vector<ForeignTensor> tensors_;
};

// What is to be written. fill(to) gives the tensor's bytes; it is called once, when they are written.
struct OutgoingTensor {
  std::string name;
  ValueType type = ValueType::f32;
  std::vector<uint64_t> shape;
  std::function<void(std::span<std::byte>)> fill;

  uint64_t bytes() const;
};

// Writes model.safetensors into `folder`, or, above `shard` bytes, shards and their index. Within a file: widest type
// first, then by name. Equal tensors give equal bytes. Throws UserError(Exit::write).
void write_safetensors(const std::filesystem::path& folder, std::vector<OutgoingTensor> tensors, uint64_t shard);

}  // namespace rw
