#include "train/loop/trained_ranges.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "core/base/user_error.hpp"
#include "train/config/suggest.hpp"

namespace rw {
namespace {

struct Pattern {
  std::string text;
  bool used = false;
};

std::vector<Pattern> patterns_of(std::string_view text) {
  std::vector<Pattern> out;
  while (!text.empty()) {
    std::string_view pattern = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), pattern.size() + 1));
    while (pattern.starts_with(' ')) pattern.remove_prefix(1);
    while (pattern.ends_with(' ')) pattern.remove_suffix(1);
    if (pattern.empty()) throw UserError(Exit::usage, "freeze has an empty pattern", "for instance: model.layers.0.*");
    out.push_back({std::string(pattern)});
  }
  return out;
}

bool is_frozen(std::vector<Pattern>& patterns, const std::string& name) {
  bool frozen = false;
  for (Pattern& pattern : patterns)
    if (::fnmatch(pattern.text.c_str(), name.c_str(), 0) == 0) frozen = pattern.used = true;
  return frozen;
}

// What a user may have meant: a name, or the part of one before a dot, with a *.
UserError matches_nothing(Model& model, const std::string& pattern) {
  std::vector<std::string> names;
  std::set<std::string> groups;
  model.each([&](const Param& param) {
    for (const Param::Part& part : param.parts) {
      names.push_back(part.name);
      for (size_t dot = part.name.find('.'); dot != std::string::npos; dot = part.name.find('.', dot + 1))
        groups.insert(part.name.substr(0, dot) + ".*");
    }
  });
  std::vector<std::string_view> known(names.begin(), names.end());
  known.insert(known.end(), groups.begin(), groups.end());
  constexpr size_t kShown = 3;
  std::string advice = did_you_mean(pattern, known);
  if (advice.empty()) {
    advice = "names are like";
    for (size_t i = 0; i < std::min(kShown, names.size()); ++i) advice.append(i ? ", " : " ").append(names[i]);
  }
  return UserError(Exit::usage, "freeze: no tensor of the model matches '" + pattern + "'",
                   advice + "\nall names: ropewalk inspect CHECKPOINT --tensors");
}

}  // namespace

TrainedRanges trained_ranges(Model& model, const ParamLayout& layout, std::string_view freeze) {
  std::vector<Pattern> patterns = patterns_of(freeze);
  TrainedRanges out;
  bool goes_on = false;  // nothing frozen lies behind the last trained range
  size_t next = 0;
  model.each([&](const Param& param) {
    const ParamRange& range = layout.ranges[next++];
    const int64_t width = range.count / param.shape.dim[0];
    const int64_t gap_end = (range.offset + range.count + kRangeAlign - 1) / kRangeAlign * kRangeAlign;
    int64_t begin = range.offset;
    for (const Param::Part& part : param.parts) {
      const int64_t end = begin + part.rows * width, last = end == range.offset + range.count ? gap_end : end;
      out.count += end - begin;
      if (is_frozen(patterns, part.name)) {
        out.frozen.push_back({begin, end - begin, param.decay});
        goes_on = false;
      } else {
        out.trained_count += end - begin;
        if (!goes_on || out.trained.back().decay != param.decay) out.trained.push_back({begin, 0, param.decay});
        out.trained.back().count = last - out.trained.back().offset;
        goes_on = true;
      }
      begin = end;
    }
  });
  for (const Pattern& pattern : patterns)
    if (!pattern.used) throw matches_nothing(model, pattern.text);
  if (out.trained.empty())
    throw UserError(Exit::usage, "freeze: nothing is left to train",
                    "leave some tensors out of  " + std::string(freeze));
  return out;
}

}  // namespace rw
