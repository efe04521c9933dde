// The text /meta of a checkpoint.
#pragma once
#include "train/checkpoint/checkpoint.hpp"

namespace rw {

std::string to_text(const CheckpointMeta& meta);

// `name` is for messages. Throws UserError: Exit::data if it is not the text of a checkpoint, or of a newer version;
// Exit::corrupt if a field is missing or of another type.
CheckpointMeta parse_meta(const std::string& name, std::string_view text);

}  // namespace rw
