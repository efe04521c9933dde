// The checkpoint that a fine-tuning began from, as CheckpointMeta::parent says it: where it was, and how to know it
// again after it has been moved.
#pragma once
#include "train/checkpoint/checkpoint.hpp"

namespace rw {

struct Parent {
  std::string folder;  // absolute
  int64_t step = 0;
  std::string manifest;  // XXH3-128 of the text of its manifest, which holds the hash of every tensor

  bool operator==(const Parent&) const = default;
};

// `folder`: of a checkpoint. Throws UserError(Exit::data) if its manifest cannot be read.
Parent parent_of(const std::filesystem::path& folder, int64_t step);

std::string to_text(const Parent& parent);                  // "FOLDER, step 120, manifest 0123..."
std::optional<Parent> parse_parent(std::string_view text);  // nothing if it is not such a text

}  // namespace rw
