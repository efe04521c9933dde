#include <toml++/toml.h>

#include "core/file/file.hpp"
#include "train/config/layers.hpp"
#include "train/config/suggest.hpp"
#include "train/config/units.hpp"

namespace rw {
namespace {

struct Known {
  Setting setting;
  Field field;
};

std::string type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    default:
      return "a date or time";
  }
}

const char* wanted(Unit unit) {
  switch (unit) {
    case Unit::integer:
      return "an integer, such as 12";
    case Unit::count:
      return "an integer, or a string with a unit, such as \"200M\"";
    case Unit::length:
      return "an integer, or a string with a unit, such as \"4k\"";
    case Unit::number:
      return "a number, such as 0.001";
    case Unit::numbers:
      return "a string with numbers, such as \"1,1.5,2\"";
    case Unit::share:
      return "a number, or a percentage, such as \"10%\"";
    case Unit::duration:
      return "a string with a unit, such as \"10min\"";
    case Unit::flag:
      return "true or false";
    default:
      return "a string";
  }
}

// The value as a user would type it, if its type is one that the setting may have.
std::optional<std::string> text_of(const toml::node& node, Unit unit) {
  const bool amount = unit == Unit::count || unit == Unit::length;
  const bool real = unit == Unit::number || unit == Unit::share;
  if (const auto* s = node.as_string(); s && unit != Unit::integer && unit != Unit::flag)
    if (unit != Unit::number || s->get().find('/') != std::string::npos) return s->get();
  if (const auto* b = node.as_boolean(); b && unit == Unit::flag) return b->get() ? "true" : "false";
  if (const auto* i = node.as_integer(); i && (unit == Unit::integer || amount || real))
    return std::to_string(i->get());
  if (const auto* x = node.as_floating_point(); x && (amount || real)) return number_text(x->get(), Unit::number);
  return {};
}

// Tables are sorted by name; a reader goes from top to bottom.
std::vector<std::pair<const toml::key*, const toml::node*>> from_the_top(const toml::table& table) {
  std::vector<std::pair<const toml::key*, const toml::node*>> out;
  for (auto&& [key, node] : table) out.emplace_back(&key, &node);
  std::ranges::stable_sort(out, {}, [](const auto& entry) { return entry.first->source().begin.line; });
  return out;
}

class Reader {
 public:
  Reader(std::string file, ConfigLayer& out) : file_(std::move(file)), out_(out) {
    visit_settings(scratch_, [&](const Setting& s, const Field& f) { known_.push_back({s, f}); });
  }

  void read(const toml::table& root) {
    for (const auto& [at_key, at_node] : from_the_top(root)) {
      const toml::key& key = *at_key;
      const toml::node& node = *at_node;
      const std::string name(key.str());
      const auto at = std::ranges::find(kSections, name);
      if (at != std::end(kSections)) {
        if (const toml::table* table = node.as_table())
          read_section(static_cast<Section>(at - std::begin(kSections)), *table);
        else
          problem("'" + name + "'" + in(key) + " is " + type_of(node) + ", and should be a section",
                  "write  [" + name + "]  on a line of its own");
      } else if (node.is_table()) {
        problem("unknown section '" + name + "'" + in(key), suggestion(name, kSections, "sections"));
      } else {
        const Known* known = find(name);
        problem("key '" + name + "'" + in(key) + " stands outside of every section",
                known ? "write it below  [" + std::string(section_name(known->setting.section)) + "]"
                      : suggestion(name, names({}), ""));
      }
    }
  }

 private:
  void read_section(Section section, const toml::table& table) {
    const std::string prefix = std::string(section_name(section)) + ".";
    for (const auto& [at_key, at_node] : from_the_top(table)) {
      const toml::key& key = *at_key;
      const toml::node& node = *at_node;
      const std::string name(key.str());
      const Known* known = find(name);
      if (!known) {
        std::string meant = nearest(name, names(section));
        if (meant.empty()) meant = nearest(name, names({}));
        const Known* other = meant.empty() ? nullptr : find(meant);
        const std::string advice =
            other ? "did you mean '" + std::string(section_name(other->setting.section)) + "." + meant + "'?" : "";
        problem("unknown key '" + prefix + name + "'" + in(key), advice);
      } else if (known->setting.section != section) {
        problem("unknown key '" + prefix + name + "'" + in(key),
                "'" + name + "' belongs in  [" + std::string(section_name(known->setting.section)) + "]");
      } else if (const auto text = text_of(node, known->setting.unit)) {
        out_.assign(name, *text, prefix + name + in(key), file_ + ":" + line(key));
      } else {
        problem(prefix + name + in(key) + " is " + type_of(node),
                std::string("expected ") + wanted(known->setting.unit));
      }
    }
  }

  std::vector<std::string_view> names(std::optional<Section> section) const {
    std::vector<std::string_view> out;
    for (const Known& known : known_)
      if (!section || known.setting.section == *section) out.push_back(known.setting.name);
    return out;
  }

  const Known* find(std::string_view name) const {
    const auto at = std::ranges::find(known_, name, [](const Known& known) { return known.setting.name; });
    return at == known_.end() ? nullptr : &*at;
  }

  static std::string suggestion(std::string_view word, std::span<const std::string_view> known, const char* all) {
    std::string out = did_you_mean(word, known);
    if (!out.empty() || !*all) return out;
    out = all + std::string(":");
    for (const std::string_view name : known) out.append(" ").append(name);
    return out;
  }

  static std::string line(const toml::key& key) { return std::to_string(key.source().begin.line); }
  std::string in(const toml::key& key) const { return " in " + file_ + ":" + line(key); }
  void problem(const std::string& what, const std::string& advice) {
    out_.problems.emplace_back(Exit::usage, what, advice);
  }

  std::string file_;
  ConfigLayer& out_;
  Settings scratch_;
  std::vector<Known> known_;
};

}  // namespace

ConfigLayer parse_toml(std::string_view text, const std::string& file) {
  ConfigLayer out;
  try {
    Reader(file, out).read(toml::parse(text, file));
  } catch (const toml::parse_error& error) {
    out.problems.emplace_back(Exit::usage, file + ":" + std::to_string(error.source().begin.line) + " is no TOML",
                              std::string(error.description()));
  }
  return out;
}

ConfigLayer read_toml(const std::filesystem::path& file) {
  constexpr uint64_t kLargest = 1 << 20;
  std::string text;
  try {
    text = read_text(file, kLargest);
  } catch (const UserError& error) {
    throw UserError(Exit::usage, error.what(), error.advice);
  }
  return parse_toml(text, file.string());
}

}  // namespace rw
