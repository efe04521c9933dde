// Parts of hugging_face.cpp: values of a tokenizer.json, and its steps before and behind the model.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "data/tokenizer/hugging_face.hpp"

namespace rw {

[[noreturn]] void json_fault(const std::string& what, const std::string& why);  // UserError(Exit::data)
std::string shortened(const std::string& text);                                 // for messages
std::string in_quotes(const std::string& text);

const nlohmann::json* find(const nlohmann::json& object, const char* name);  // null if it is absent or null
const nlohmann::json& member(const nlohmann::json& object, const char* name, const std::string& where = {});
const std::string& text_of(const nlohmann::json& value, const std::string& where);
bool bool_of(const nlohmann::json& value, const std::string& where);

// patterns, bytes, nfc, prefix, split_spaces.
void read_steps(const nlohmann::json& normalizer, const nlohmann::json& pre_tokenizer, const nlohmann::json& decoder,
                HuggingFaceTokenizer& out);

// The special token that the template of a post-processor puts before a text, or else one that it names; or "".
std::string template_start(const nlohmann::json& post_processor);

}  // namespace rw
