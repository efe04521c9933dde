// Parts of a tokenizer.json that is written.
#pragma once
#include <nlohmann/json.hpp>
#include <span>

#include "data/tokenizer/vocabulary.hpp"

namespace rw {

// The file with its vocabulary and merges, without steps. Control, unknown and unused pieces are special added tokens.
nlohmann::ordered_json hugging_face_file(const Vocabulary& vocabulary,
                                         std::span<const std::pair<std::string, std::string>> merges);

nlohmann::ordered_json byte_level(bool use_regex);
nlohmann::ordered_json split_by(const std::string& regex);  // into matches and what is between

// A post-processor that names the special token `id`; with `adds` it puts it before a text.
nlohmann::ordered_json template_of(const Vocabulary& vocabulary, int32_t id, bool adds);

}  // namespace rw
