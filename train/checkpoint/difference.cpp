#include "train/checkpoint/difference.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "core/file/json.hpp"
#include "train/config/run_toml.hpp"

namespace rw {
namespace {

using Text = CheckpointDifference::Text;

template <class T>
std::string shown(const T& value) {
  std::ostringstream out;
  out.precision(9);
  out << value;
  return out.str();
}
std::string shown(const std::optional<double>& value) { return value ? shown(*value) : ""; }

std::vector<Text> facts(const CheckpointMeta& a, const CheckpointMeta& b) {
  std::vector<Text> out;
  const auto compare = [&](const char* name, auto field) {
    if (a.*field != b.*field) out.push_back({name, shown(a.*field), shown(b.*field)});
  };
  compare("step", &CheckpointMeta::step);
  compare("tokens", &CheckpointMeta::tokens);
  compare("val_loss", &CheckpointMeta::val_loss);
  compare("best_val_loss", &CheckpointMeta::best_val);
  compare("tokenizer", &CheckpointMeta::tokenizer_hash);
  compare("parent", &CheckpointMeta::parent);
  compare("version", &CheckpointMeta::version);
  return out;
}

// Of two JSON objects, key by key.
std::vector<Text> model_difference(const std::string& a, const std::string& b) {
  const OrderedJson of_a = OrderedJson::parse(a, nullptr, false), of_b = OrderedJson::parse(b, nullptr, false);
  std::vector<Text> out;
  if (!of_a.is_object() || !of_b.is_object()) return out;
  const auto text = [](const OrderedJson& json, const std::string& key) {
    const auto at = json.find(key);
    return at == json.end() ? std::string() : at->is_string() ? at->get<std::string>() : at->dump();
  };
  for (const auto& [key, value] : of_a.items())
    if (text(of_a, key) != text(of_b, key)) out.push_back({key, text(of_a, key), text(of_b, key)});
  for (const auto& [key, value] : of_b.items())
    if (!of_a.contains(key)) out.push_back({key, "", text(of_b, key)});
  return out;
}

std::vector<Text> settings_of_run(const std::string& a, const std::string& b) {
  std::vector<Text> out;
  std::vector<UserError> problems;  // what another version wrote is compared as far as it is known
  const Settings of_a = resolve(std::vector{parse_run_toml(a)}, &problems).settings,
                 of_b = resolve(std::vector{parse_run_toml(b)}, &problems).settings;
  for (const SettingDifference& d : settings_difference(of_a, of_b)) out.push_back({d.name, d.before, d.after});
  return out;
}

double element(CView v, int64_t i) {
  double out = 0;
  visit_dtype<double, float, bf16>(v.dtype, [&]<class T>() {
    if constexpr (std::is_same_v<T, bf16>)
      out = static_cast<double>(static_cast<float>(v.as<T>().data[i]));
    else
      out = static_cast<double>(v.as<T>().data[i]);
  });
  return out;
}

struct Sums {
  double a = 0, difference = 0, most = 0;  // squares of a, of a − b
  bool finite = true;
  double relative() const {
    if (!finite) return std::numeric_limits<double>::quiet_NaN();
    return difference == 0 ? 0 : std::sqrt(difference / a);
  }
};

Sums compare(CView a, CView b) {
  Sums sums;
  for (int64_t i = 0; i < a.shape.elements(); ++i) {
    const double x = element(a, i), y = element(b, i);
    if (!std::isfinite(x) || !std::isfinite(y)) sums.finite = false;
    sums.a += x * x;
    sums.difference += (x - y) * (x - y);
    sums.most = std::max(sums.most, std::abs(x - y));
  }
  if (!sums.finite) sums.most = std::numeric_limits<double>::quiet_NaN();
  return sums;
}

bool same_bits(CView a, CView b) {
  return a.dtype == b.dtype &&
         std::memcmp(a.data, b.data, static_cast<size_t>(a.shape.elements()) * size_of(a.dtype)) == 0;
}

}  // namespace

CheckpointDifference difference(const Checkpoint& a, const Checkpoint& b) {
  CheckpointDifference out;
  out.facts = facts(a.meta(), b.meta());
  out.model = model_difference(a.meta().model, b.meta().model);
  out.settings = settings_of_run(a.meta().settings, b.meta().settings);
  std::erase_if(out.settings, [&](const Text& s) {  // said already
    return std::ranges::find(out.model, s.name, &Text::name) != out.model.end();
  });
  Sums all;
  for (const Checkpoint::Tensor& t : a.tensors()) {
    const Checkpoint::Tensor* other = b.find(t.name);
    if (!other) {
      out.only_a.push_back(t.name);
      continue;
    }
    if (t.value.shape != other->value.shape) {
      out.shapes.push_back({t.name, shown(t.value.shape), shown(other->value.shape)});
      continue;
    }
    if (t.value.dtype != other->value.dtype)
      out.dtypes.push_back({t.name, name_of(t.value.dtype), name_of(other->value.dtype)});
    const Sums sums = compare(t.value, other->value);
    all.a += sums.a, all.difference += sums.difference, all.finite &= sums.finite;
    if (same_bits(t.value, other->value))
      ++out.equal;
    else
      out.tensors.push_back({t.name, sums.relative(), sums.most});
  }
  for (const Checkpoint::Tensor& t : b.tensors())
    if (!a.find(t.name)) out.only_b.push_back(t.name);
  out.relative = all.relative();
  std::ranges::stable_sort(out.tensors, [](const TensorDifference& x, const TensorDifference& y) {
    if (std::isnan(x.relative) != std::isnan(y.relative)) return std::isnan(x.relative);
    return x.relative > y.relative;
  });
  return out;
}

}  // namespace rw
