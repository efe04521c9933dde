#include "data/tokenizer/hugging_face.hpp"

#include <unordered_map>

#include "core/base/user_error.hpp"
#include "core/file/json.hpp"
#include "data/tokenizer/hugging_face_steps.hpp"
#include "data/tokenizer/kinds.hpp"

namespace rw {

using nlohmann::json;

namespace {

int32_t id_of(const json& value, const std::string& where) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= kMostPieces)
    json_fault(where + " is " + value.dump() + ", no id",
               "ids are whole numbers from 0 to " + std::to_string(kMostPieces - 1));
  return value.get<int32_t>();
}

int32_t first_special(const HuggingFaceTokenizer& tokenizer, std::initializer_list<const char*> names) {
  for (const char* name : names)
    for (const auto& added : tokenizer.added)
      if (added.special && added.content == name) return added.id;
  return -1;
}

class JsonReader {
 public:
  HuggingFaceTokenizer read(const json& file) {
    if (!file.is_object()) json_fault("it is no JSON object", "is it a tokenizer.json?");
    if (const json* version = find(file, "version"); version && *version != "1.0")
      json_fault("its version is " + version->dump(), "only \"1.0\" is known");
    const json& model = member(file, "model");
    if (!model.is_object()) json_fault("its model is no object", "is it a tokenizer.json?");
    read_model_kind(model);
    read_vocabulary(member(model, "vocab"));
    if (const json* added = find(file, "added_tokens")) read_added(*added);
    check_ids();
    read_merges(member(model, "merges"));
    if (const json* unknown = find(model, "unk_token"))
      if (const auto known = ids_.find(text_of(*unknown, "model.unk_token")); known != ids_.end())
        out_.unknown = known->second;
    const json none;
    const auto part = [&](const char* name) -> const json& { return find(file, name) ? *find(file, name) : none; };
    read_steps(part("normalizer"), part("pre_tokenizer"), part("decoder"), out_);
    out_.document_start = document_start(part("post_processor"));
    return std::move(out_);
  }

 private:
  void read_model_kind(const json& model) {
    if (const json* type = find(model, "type"); type && *type != "BPE")
      json_fault("its model is of type " + type->dump(), "only BPE is supported");
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const json* value = find(model, name); value && *value != "")
        json_fault(std::string(name) + " " + value->dump() + " is not supported", "only tokenizers without one are");
    if (const json* dropout = find(model, "dropout"); dropout && *dropout != 0)
      json_fault("dropout " + dropout->dump() + " is not supported", "its ids would differ from call to call");
    const auto flag = [&](const char* name) {
      return find(model, name) && bool_of(model[name], std::string("model.") + name);
    };
    out_.byte_fallback = flag("byte_fallback");
    out_.fuse_unknown = flag("fuse_unk");
    out_.ignore_merges = flag("ignore_merges");
  }

  void read_vocabulary(const json& vocab) {
    if (!vocab.is_object() || vocab.empty())
      json_fault("model.vocab is no object of pieces", "is it a tokenizer.json?");
    for (const auto& [piece, value] : vocab.items()) {
      const int32_t id = id_of(value, "the id of " + in_quotes(piece));
      ids_.emplace(piece, id);
      place(piece, id);
    }
    out_.model_vocab = static_cast<int32_t>(ids_.size());
  }

  void place(const std::string& piece, int32_t id) {
    const auto at = static_cast<size_t>(id);
    if (at >= out_.pieces.size()) {
      out_.pieces.resize(at + 1);
      taken_.resize(at + 1);
      special_.resize(at + 1);
    }
    if (taken_[at])
      json_fault("the id " + std::to_string(id) + " stands twice, for " + in_quotes(out_.pieces[at]) + " and " +
                     in_quotes(piece),
                 "an id has one piece");
    taken_[at] = true;
    out_.pieces[at] = piece;
  }

  void read_added(const json& list) {
    if (!list.is_array()) json_fault("added_tokens is no list", "is it a tokenizer.json?");
    std::unordered_map<std::string, int32_t> seen;
    int32_t next = out_.model_vocab;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string where = "added_tokens[" + std::to_string(i) + "]";
      const json& token = list[i];
      if (!token.is_object()) json_fault(where + " is no object", "is it a tokenizer.json?");
      const auto flag = [&](const char* name) { return bool_of(member(token, name, where + "."), where + "." + name); };
      HuggingFaceTokenizer::Added added{text_of(member(token, "content", where + "."), where + ".content"),
                                        id_of(member(token, "id", where + "."), where + ".id"), flag("special"),
                                        flag("normalized")};
      if (added.content.empty()) json_fault(where + " is empty", "an added token is a text");
      if (!seen.emplace(added.content, added.id).second)
        json_fault("the added token " + in_quotes(added.content) + " stands twice", "each has one id");
      for (const char* name : {"single_word", "lstrip", "rstrip"})
        if (flag(name) && !added.special)
          json_fault(std::string(name) + " of the added token " + in_quotes(added.content) + " is not supported",
                     "only special tokens may have it, which are never made from text");
      const auto known = ids_.find(added.content);
      const int32_t expected = known != ids_.end() ? known->second : next++;
      if (added.id != expected)
        json_fault("the added token " + in_quotes(added.content) + " has the id " + std::to_string(added.id),
                   known != ids_.end() ? "in the vocabulary it is " + std::to_string(expected)
                                       : "the next that is free is " + std::to_string(expected));
      if (known == ids_.end()) place(added.content, added.id);
      if (added.special) special_[static_cast<size_t>(added.id)] = true;
      out_.added.push_back(std::move(added));
    }
  }

  void check_ids() const {
    for (size_t id = 0; id < taken_.size(); ++id)
      if (!taken_[id]) json_fault("the id " + std::to_string(id) + " has no piece", "ids are to be without gaps");
  }

  void read_merges(const json& list) {
    if (!list.is_array()) json_fault("model.merges is no list", "is it a tokenizer.json?");
    for (size_t i = 0; i < list.size(); ++i) {
      const json& merge = list[i];
      const std::string where = "model.merges[" + std::to_string(i) + "]";
      std::string left, right;
      if (merge.is_string()) {
        const auto& text = merge.get_ref<const std::string&>();
        if (text.starts_with("#version")) continue;
        const size_t space = text.find(' ');
        if (space == text.npos || text.find(' ', space + 1) != text.npos)
          json_fault(where + " is " + in_quotes(text), "a merge is two pieces with a space between");
        left = text.substr(0, space);
        right = text.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2) {
        left = text_of(merge[0], where);
        right = text_of(merge[1], where);
      } else {
        json_fault(where + " is " + shortened(merge.dump()), "a merge is two pieces");
      }
      const auto id = [&](const std::string& piece) {
        const auto known = ids_.find(piece);
        if (known == ids_.end())
          json_fault(where + " is of " + in_quotes(piece), "which is no piece of the vocabulary");
        return known->second;
      };
      const std::array ids = {id(left), id(right), id(left + right)};
      if (!special_[static_cast<size_t>(ids[2])]) out_.merges.push_back(ids);
    }
  }

  int32_t document_start(const json& processor) const {
    const std::string named = template_start(processor);
    std::string names;
    for (const char* name : {named.c_str(), "<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>", "<|endoftext|>",
                             "<|end_of_text|>", "</s>", "<eos>"}) {
      if (const int32_t id = first_special(out_, {name}); id >= 0) return id;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    json_fault("it has no special token that could begin a document", "looked for: " + names);
  }

  HuggingFaceTokenizer out_;
  std::unordered_map<std::string, int32_t> ids_;  // of the model's pieces
  std::vector<bool> taken_, special_;             // of each id
};

}  // namespace

SpecialTokens special_tokens_of(const HuggingFaceTokenizer& tokenizer) {
  const int32_t eos = first_special(tokenizer, {"</s>", "<|end_of_text|>", "<|endoftext|>", "<eos>"});
  return {tokenizer.document_start, eos >= 0 ? eos : tokenizer.document_start, tokenizer.unknown,
          first_special(tokenizer, {"<pad>", "<|pad|>", "[PAD]"})};
}

HuggingFaceTokenizer read_tokenizer_json(std::string_view text) {
  return JsonReader().read(parse_json(kJsonFile, text));
}

}  // namespace rw
