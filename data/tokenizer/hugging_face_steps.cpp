#include "data/tokenizer/hugging_face_steps.hpp"

#include "core/base/user_error.hpp"
#include "data/corpus/utf8.hpp"
#include "data/tokenizer/kinds.hpp"

namespace rw {

using nlohmann::json;
using Prefix = HuggingFaceTokenizer::Prefix;

void json_fault(const std::string& what, const std::string& why) {
  throw UserError(Exit::data, "unusable tokenizer.json: " + what, why);
}

std::string shortened(const std::string& text) {
  constexpr size_t kShown = 60;
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  while (end > 0 && is_utf8_continuation(text[end])) --end;
  return text.substr(0, end) + "...";
}
std::string in_quotes(const std::string& text) { return std::string("'").append(shortened(text)).append("'"); }

const json* find(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}
const json& member(const json& object, const char* name, const std::string& where) {
  const json* found = find(object, name);
  if (!found) json_fault("it has no " + where + name, "is it a whole tokenizer.json?");
  return *found;
}
const std::string& text_of(const json& value, const std::string& where) {
  if (!value.is_string()) json_fault(where + " is " + shortened(value.dump()) + ", no text", "is it a tokenizer.json?");
  return value.get_ref<const std::string&>();
}
bool bool_of(const json& value, const std::string& where) {
  if (!value.is_boolean())
    json_fault(where + " is " + shortened(value.dump()) + ", neither true nor false", "is it a tokenizer.json?");
  return value.get<bool>();
}

namespace {

[[noreturn]] void unsupported(const std::string& role, const json& step, const std::string& why) {
  json_fault(role + " " + shortened(step.dump()) + " is not supported", why);
}

std::string type_of(const json& step, const std::string& role) {
  if (!step.is_object()) unsupported(role, step, "it is to be an object");
  return text_of(member(step, "type", role + "."), role + ".type");
}

// The steps of sequences of sequences, in order.
void flatten(const json& step, const std::string& role, const char* list, std::vector<json>& out) {
  if (step.is_null()) return;
  if (type_of(step, role) != "Sequence") return out.push_back(step);
  const json& steps = member(step, list, role + ".");
  if (!steps.is_array()) unsupported(role, step, "its steps are to be a list");
  for (const json& one : steps) flatten(one, role, list, out);
}

const std::string* text_pattern(const json& step) {
  const json* pattern = find(step, "pattern");
  const json* text = pattern && pattern->is_object() ? find(*pattern, "String") : nullptr;
  return text && text->is_string() ? &text->get_ref<const std::string&>() : nullptr;
}

bool replaces(const json& step, const char* from, const char* to) {
  const std::string* pattern = text_pattern(step);
  const json* content = find(step, "content");
  return pattern && *pattern == from && content && *content == to;
}

// A text as a regular expression.
std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string split_pattern(const json& step, const std::string& role) {
  const json* behavior = find(step, "behavior");
  const json* invert = find(step, "invert");
  if (!behavior || *behavior != "Isolated" || (invert && *invert != false))
    unsupported(role, step, "of Split only behavior Isolated without invert is");
  if (const std::string* text = text_pattern(step)) return escaped(*text);
  return text_of(member(member(step, "pattern", role + "."), "Regex", role + ".pattern."), role + ".pattern.Regex");
}

void read_metaspace(const json& step, const std::string& role, HuggingFaceTokenizer& out) {
  if (const json* mark = find(step, "replacement"); !mark || *mark != kSpaceMark)
    unsupported(role, step, std::string("its replacement is not ") + kSpaceMark);
  const json* scheme = find(step, "prepend_scheme");
  const json* add = find(step, "add_prefix_space");
  const std::string name = scheme ? text_of(*scheme, role + ".prepend_scheme") : "always";
  if (name != "always" && name != "first" && name != "never") unsupported(role, step, "its prepend_scheme is unknown");
  const bool never = name == "never" || (add && !bool_of(*add, role + ".add_prefix_space"));
  out.prefix = never ? Prefix::none : name == "first" ? Prefix::first : Prefix::unless_space;
  const json* split = find(step, "split");
  out.split_spaces = !split || bool_of(*split, role + ".split");
}

}  // namespace

void read_steps(const json& normalizer, const json& pre_tokenizer, const json& decoder, HuggingFaceTokenizer& out) {
  bool marks = false;  // spaces become "▁"
  std::vector<json> steps;
  std::string role = "normalizer";
  flatten(normalizer, role, "normalizers", steps);
  for (const json& step : steps) {
    const std::string type = type_of(step, role);
    if (type == "NFC") {
      out.nfc = true;
    } else if (type == "Prepend" && find(step, "prepend") && step["prepend"] == kSpaceMark) {
      out.prefix = Prefix::always;
    } else if (type == "Replace" && replaces(step, " ", kSpaceMark)) {
      marks = true;
    } else {
      unsupported(role, step,
                  std::string("NFC is, Prepend ") + kSpaceMark + ", and Replace of a space by " + kSpaceMark);
    }
  }

  steps.clear();
  role = "pre_tokenizer";
  flatten(pre_tokenizer, role, "pretokenizers", steps);
  for (size_t i = 0; i < steps.size(); ++i) {
    const json& step = steps[i];
    const std::string type = type_of(step, role);
    if (type == "ByteLevel" && i + 1 == steps.size()) {
      out.bytes = true;
      if (bool_of(member(step, "add_prefix_space", role + "."), role + ".add_prefix_space"))
        unsupported(role, step, "of ByteLevel only add_prefix_space false is");
      const json* regex = find(step, "use_regex");
      if (!regex || bool_of(*regex, role + ".use_regex")) out.patterns.push_back(kGpt2Pattern);
    } else if (type == "Split") {
      out.patterns.push_back(split_pattern(step, role));
    } else if (type == "Digits") {
      const bool each = bool_of(member(step, "individual_digits", role + "."), role + ".individual_digits");
      out.patterns.push_back(each ? kDigitPattern : kDigitsPattern);
    } else if (type == "Metaspace" && steps.size() == 1 && normalizer.is_null()) {
      read_metaspace(step, role, out);
      marks = true;
    } else {
      unsupported(role, step, "ByteLevel at the end is, Split and Digits before it, or Metaspace alone");
    }
  }
  if (out.bytes ? marks || out.prefix != Prefix::none : !marks || !out.patterns.empty())
    json_fault("its steps do not fit together", std::string("either ByteLevel, or spaces become ") + kSpaceMark);

  steps.clear();
  role = "decoder";
  flatten(decoder, role, "decoders", steps);
  for (const json& step : steps) {
    const std::string type = type_of(step, role);
    const bool known = out.bytes ? type == "ByteLevel"
                                 : type == "Metaspace" || type == "ByteFallback" || type == "Fuse" || type == "Strip" ||
                                       (type == "Replace" && replaces(step, kSpaceMark, " "));
    if (!known) unsupported(role, step, "it does not fit the pre-tokenizer");
  }
}

std::string template_start(const json& processor) {
  if (!processor.is_object()) return {};
  if (const json* list = find(processor, "processors"); list && list->is_array()) {
    for (const json& one : *list)
      if (const std::string found = template_start(one); !found.empty()) return found;
    return {};
  }
  const json* type = find(processor, "type");
  if (!type || *type != "TemplateProcessing") return {};
  if (const json* single = find(processor, "single"); single && single->is_array() && !single->empty()) {
    const json& first = single->front();
    const json* token = first.is_object() ? find(first, "SpecialToken") : nullptr;
    if (token && token->is_object() && find(*token, "id"))
      return text_of((*token)["id"], "post_processor.single[0].id");
  }
  const json* tokens = find(processor, "special_tokens");
  return tokens && tokens->is_object() && !tokens->empty() ? tokens->begin().key() : std::string();
}

}  // namespace rw
