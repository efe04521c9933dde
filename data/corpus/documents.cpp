#include "data/corpus/documents.hpp"

#include <nlohmann/json.hpp>

#include "core/base/user_error.hpp"
#include "data/corpus/text_stream.hpp"
#include "data/corpus/utf8.hpp"

namespace rw {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

using OnPart = std::function<void(TextPart)>;

constexpr size_t kLongestPart = 16 * kPartBytes;  // without a place to cut

// Collects the text of documents and passes it on in parts.
class PartWriter {
 public:
  PartWriter(const OnPart& on_part, const FindCut& find_cut) : on_part_(on_part), find_cut_(find_cut) {}
  void add(std::string_view text) {
    buffer_ += text;
    while (buffer_.size() - searched_ >= kPartBytes) cut();
  }
  void end_document() {
    if (started_ || !buffer_.empty()) on_part_({std::move(buffer_), true, !started_});
    buffer_ = {};
    searched_ = 0;
    started_ = false;
  }
  // A document whose beginning is a prompt.
  void add_prompt(std::string_view text) {
    is_prompt_ = true;
    add(text);
    if (!buffer_.empty()) pass(buffer_.size());
    is_prompt_ = false;
  }

 private:
  void pass(size_t size) {
    on_part_({buffer_.substr(0, size), false, !started_, is_prompt_});
    buffer_.erase(0, size);
    searched_ = 0;
    started_ = true;
  }
  void cut() {
    searched_ += kPartBytes;
    size_t end = searched_;
    while (end < buffer_.size() && is_utf8_continuation(buffer_[end])) ++end;
    size_t at = find_cut_(std::string_view(buffer_).substr(0, end));
    if (at == 0) {
      if (searched_ < kLongestPart) return;
      at = end;
    }
    pass(at);
  }

  const OnPart& on_part_;
  const FindCut& find_cut_;
  std::string buffer_;
  size_t searched_ = 0;   // no place to cut before it
  bool started_ = false;  // a part of the document is out
  bool is_prompt_ = false;
};

// Ends the document at each line that is the separator.
class Separator {
 public:
  Separator(std::string line, PartWriter& out) : separator_(std::move(line)), out_(out) {}
  void add(std::string_view text) {
    while (!text.empty()) {
      const size_t newline = text.find('\n');
      const std::string_view piece = text.substr(0, newline == text.npos ? newline : newline + 1);
      text.remove_prefix(piece.size());
      if (undecided_) {
        head_ += piece;
        if (newline == text.npos && head_.size() <= separator_.size() + 1) return;
        pass_head();
      } else {
        out_.add(piece);
      }
      undecided_ = newline != text.npos;
    }
  }
  void end() {
    pass_head();
    out_.end_document();
  }

 private:
  void pass_head() {
    std::string_view line = head_;
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r') && !separator_.ends_with('\r')) line.remove_suffix(1);
    if (!head_.empty() && line == separator_)
      out_.end_document();
    else
      out_.add(head_);
    head_.clear();
  }

  std::string separator_;
  PartWriter& out_;
  std::string head_;  // the line so far, while it may be the separator
  bool undecided_ = true;
};

class JsonLines {
 public:
  JsonLines(const fs::path& file, const std::string& key, PartWriter& out) : file_(file), key_(key), out_(out) {}
  void add(std::string_view text) {
    while (!text.empty()) {
      const size_t newline = text.find('\n');
      line_ += text.substr(0, newline);
      if (line_.size() > kMaxJsonLine)
        fail("is longer than " + std::to_string(kMaxJsonLine >> 20) + " MiB", "is it one JSON object in each line?");
      if (newline == text.npos) return;
      text.remove_prefix(newline + 1);
      end_line();
    }
  }
  void end_line() {
    if (line_.find_first_not_of(" \t\r") != line_.npos) take(line_);
    line_.clear();
    ++number_;
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& why) const {
    throw UserError(Exit::data, file_.string() + " line " + std::to_string(number_) + " " + what, why);
  }
  void take(std::string_view line) const {
    json object;
    try {
      object = json::parse(line);
    } catch (const json::exception& error) {
      fail("is not JSON", error.what());
    }
    if (!object.is_object()) fail("is not a JSON object", "each line is to be like {\"text\": \"...\"}");
    const bool has_pair = object.contains("prompt") || object.contains("completion");
    if (key_.empty() && has_pair) return take_pair(object);
    const std::string key = !key_.empty() ? key_ : object.contains("text") ? "text" : "content";
    if (!object.contains(key))
      fail("has no key '" + (key_.empty() ? "text' or 'content" : key) + "'",
           keys_of(object) + "\nname the one with the text:  --text-key KEY");
    out_.add(text_of(object, key));
    out_.end_document();
  }
  void take_pair(const json& object) const {
    for (const char* text : {"text", "content"})
      if (object.contains(text))
        fail(std::string("has a '") + text + "' and a prompt or completion",
             "a document is either a text, or a prompt with its completion\ntake only the text:  --text-key " +
                 std::string(text));
    for (const auto& [here, missing] : {std::pair{"prompt", "completion"}, {"completion", "prompt"}})
      if (!object.contains(missing))
        fail(std::string("has a '") + here + "' without a '" + missing + "'",
             keys_of(object) + "\ntake it as a text:  --text-key " + here);
    out_.add_prompt(text_of(object, "prompt"));
    out_.add(text_of(object, "completion"));
    out_.end_document();
  }
  const std::string& text_of(const json& object, const std::string& key) const {
    const json& value = object[key];
    if (!value.is_string())
      fail("has no text under '" + key + "'",
           std::string("it is of type ") + value.type_name() + "\nname the key of a text:  --text-key KEY");
    return value.get_ref<const std::string&>();
  }
  static std::string keys_of(const json& object) {
    std::string keys;
    for (const auto& item : object.items()) keys += (keys.empty() ? "" : ", ") + item.key();
    return "its keys are: " + keys;
  }

  fs::path file_;
  const std::string& key_;
  PartWriter& out_;
  std::string line_;
  uint64_t number_ = 1;
};

bool is_json_lines(fs::path file) {
  if (file.extension() == ".gz" || file.extension() == ".zst") file.replace_extension();
  return file.extension() == ".jsonl" || file.extension() == ".ndjson";
}

}  // namespace

size_t cut_before_space(std::string_view text) {
  for (size_t at = text.size(); at-- > 1;)
    if (text[at] == ' ' && text[at - 1] != ' ') return at;
  return 0;
}

void read_documents(const fs::path& file, const DocumentOptions& options, const OnPart& on_part,
                    const FindCut& find_cut) {
  bool any = false;
  const OnPart pass = [&](TextPart part) {
    any = true;
    on_part(std::move(part));
  };
  TextStream text(file);
  PartWriter writer(pass, find_cut);
  if (is_json_lines(file)) {
    JsonLines lines(file, options.text_key, writer);
    for (auto piece = text.next(); !piece.empty(); piece = text.next()) lines.add(piece);
    lines.end_line();
  } else if (options.separated) {
    Separator separator(options.separator, writer);
    for (auto piece = text.next(); !piece.empty(); piece = text.next()) separator.add(piece);
    separator.end();
  } else {
    for (auto piece = text.next(); !piece.empty(); piece = text.next()) writer.add(piece);
    writer.end_document();
  }
  if (!any) throw UserError(Exit::data, file.string() + " is empty", "there is no text in it");
}

}  // namespace rw
