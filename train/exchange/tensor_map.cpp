#include "train/exchange/tensor_map.hpp"

#include <algorithm>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "train/checkpoint/checkpoint.hpp"

namespace rw {
namespace {

struct Part {
  std::string name;
  std::vector<uint64_t> shape;
};

std::vector<Part> parts_of(const ModelConfig& config) {
  Model model(config);
  std::vector<Part> parts;
  model.each([&](const Param& param) {
    for (const Param::Part& part : param.parts) {
      parts.push_back({part.name, {static_cast<uint64_t>(part.rows)}});
      if (param.shape.rank > 1) parts.back().shape.push_back(static_cast<uint64_t>(param.shape.dim[1]));
    }
  });
  return parts;
}

bool is_rotated(const std::string& name) {
  return std::ranges::any_of(std::initializer_list<const char*>{".q_proj.", ".k_proj.", ".q_norm.", ".k_norm."},
                             [&](const char* part) { return name.find(part) != name.npos; });
}

// The name with `from` replaced, where it stands.
std::string replaced(std::string name, std::string_view from, std::string_view to) {
  if (const size_t at = name.find(from); at != name.npos) name.replace(at, from.size(), to);
  return name;
}

constexpr std::pair<const char*, const char*> kGpt2[] = {{"model.embed_tokens.", "transformer.wte."},
                                                         {"model.embed_positions.", "transformer.wpe."},
                                                         {"model.layers.", "transformer.h."},
                                                         {"model.norm.", "transformer.ln_f."},
                                                         {"input_layernorm.", "ln_1."},
                                                         {"post_attention_layernorm.", "ln_2."},
                                                         {"self_attn.q_proj.", "attn.c_attn."},
                                                         {"self_attn.o_proj.", "attn.c_proj."},
                                                         {"mlp.up_proj.", "mlp.c_fc."},
                                                         {"mlp.down_proj.", "mlp.c_proj."}};
constexpr std::pair<const char*, const char*> kGguf[] = {
    {"model.embed_tokens.", "token_embd."}, {"lm_head.", "output."},
    {"model.norm.", "output_norm."},        {"model.layers.", "blk."},
    {"input_layernorm.", "attn_norm."},     {"post_attention_layernorm.", "ffn_norm."},
    {"self_attn.q_proj.", "attn_q."},       {"self_attn.k_proj.", "attn_k."},
    {"self_attn.v_proj.", "attn_v."},       {"self_attn.o_proj.", "attn_output."},
    {"self_attn.q_norm.", "attn_q_norm."},  {"self_attn.k_norm.", "attn_k_norm."},
    {"mlp.gate_proj.", "ffn_gate."},        {"mlp.up_proj.", "ffn_up."},
    {"mlp.down_proj.", "ffn_down."}};

template <size_t N>
std::string renamed(std::string name, const std::pair<const char*, const char*> (&names)[N]) {
  for (const auto& [ours, theirs] : names) name = replaced(std::move(name), ours, theirs);
  return name;
}

std::vector<MappedTensor> gpt2_map(std::span<const Part> parts) {
  std::vector<MappedTensor> map;
  for (const Part& part : parts) {
    const bool joined = part.name.find(".k_proj.") != part.name.npos || part.name.find(".v_proj.") != part.name.npos;
    if (joined) {  // stands behind its q_proj
      map.back().shape.back() += part.shape[0];
      map.back().parts.push_back(part.name);
      continue;
    }
    MappedTensor& to = map.emplace_back(MappedTensor{renamed(part.name, kGpt2), part.shape, {part.name}});
    to.transposed = part.shape.size() == 2 && part.name.find("_proj.") != part.name.npos;
    if (to.transposed) std::swap(to.shape[0], to.shape[1]);
  }
  return map;
}

int64_t elements(const MappedTensor& tensor) {
  int64_t count = 1;
  for (uint64_t dim : tensor.shape) count *= static_cast<int64_t>(dim);
  return count;
}

// Where row r of ours, of one head, goes in the other order of pairs: from (c, c + d/2) to (2c, 2c + 1), or back.
int64_t other_row(const MappedTensor& tensor, int64_t row) {
  const int64_t d = tensor.head_rows, half = d / 2, head = row / d * d, r = row % d;
  return head + (tensor.interleave ? (r < half ? 2 * r : 2 * (r - half) + 1) : (r % 2 == 0 ? r / 2 : half + r / 2));
}

// Calls f(ours, theirs, count, step) for every row of ours: `count` numbers, from offset `ours` in the parts laid end
// to end, to `theirs` and every `step` further.
template <class F>
void each_row(const MappedTensor& tensor, F&& f) {
  const int64_t all = elements(tensor);
  const int64_t rows =
      tensor.shape.empty() ? 1 : static_cast<int64_t>(tensor.transposed ? tensor.shape[1] : tensor.shape[0]);
  const int64_t width = rows > 0 ? all / rows : 0;
  for (int64_t row = 0; row < rows; ++row) {
    if (tensor.transposed)
      f(row * width, row, width, rows);
    else
      f(row * width, (tensor.head_rows > 0 ? other_row(tensor, row) : row) * width, width, int64_t{1});
  }
}

std::string shape_text(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

std::vector<MappedTensor> tensor_map(const ModelConfig& config, Naming naming) {
  const std::vector<Part> parts = parts_of(config);
  if (naming == Naming::gpt2) return gpt2_map(parts);
  const bool interleaved = config.rope_layout == RopeLayout::interleaved, wanted = naming == Naming::gguf;
  std::vector<MappedTensor> map;
  for (const Part& part : parts) {
    MappedTensor& to = map.emplace_back(MappedTensor{part.name, part.shape, {part.name}});
    if (naming == Naming::gguf) to.name = renamed(part.name, kGguf);
    if (config.rotary() && interleaved != wanted && is_rotated(part.name))
      to.head_rows = config.head_width, to.interleave = wanted;
  }
  return map;
}

std::map<std::string, View> parts_by_name(Model& model) {
  std::vector<StateTensor> tensors;
  model.each([&](const Param& param) { add_state(tensors, param); });
  std::map<std::string, View> parts;
  for (StateTensor& t : tensors) parts.emplace(std::move(t.name), t.value);
  return parts;
}

ValueType stored_type(const MappedTensor& tensor, const std::map<std::string, DType, std::less<>>& stored) {
  const bool narrow =
      std::ranges::all_of(tensor.parts, [&](const std::string& part) { return stored.at(part) == DType::bf16; });
  return narrow ? ValueType::bf16 : ValueType::f32;
}

ValueType main_type(std::span<const OutgoingTensor> tensors) {
  return std::ranges::max_element(tensors, {}, [](const OutgoingTensor& t) { return t.bytes(); })->type;
}

std::vector<OutgoingTensor> outgoing(std::span<const MappedTensor> map, const std::map<std::string, View>& parts,
                                     const std::function<ValueType(const MappedTensor&)>& type_of) {
  std::vector<OutgoingTensor> out;
  for (const MappedTensor& tensor : map) {
    const ValueType type = type_of(tensor);
    const auto fill = [tensor, type, &parts](std::span<std::byte> to) {
      std::vector<float> ours, theirs(static_cast<size_t>(elements(tensor)));
      ours.reserve(theirs.size());
      for (const std::string& name : tensor.parts) {
        const CView view = parts.at(name);
        visit_dtype<float, double>(view.dtype, [&]<class T>() {
          const T* const data = view.as<T>().data;
          for (int64_t i = 0; i < view.shape.elements(); ++i) ours.push_back(static_cast<float>(data[i]));
        });
      }
      RW_CHECK(ours.size() == theirs.size());
      each_row(tensor, [&](int64_t from, int64_t at, int64_t count, int64_t step) {
        for (int64_t i = 0; i < count; ++i)
          theirs[static_cast<size_t>(at + i * step)] = ours[static_cast<size_t>(from + i)];
      });
      encode(type, theirs, to);
    };
    out.push_back({tensor.name, type, tensor.shape, fill});
  }
  return out;
}

void check_tensors(const std::string& source, std::span<const ForeignTensor> theirs,
                   std::span<const MappedTensor> map) {
  std::map<std::string_view, const MappedTensor*> missing;
  for (const MappedTensor& tensor : map) missing.emplace(tensor.name, &tensor);
  std::vector<std::string> left;
  for (const ForeignTensor& tensor : theirs) {
    const auto found = missing.find(tensor.name);
    if (found == missing.end()) {
      left.push_back(tensor.name);
      continue;
    }
    if (tensor.shape != found->second->shape)
      throw UserError(Exit::data, source + ": tensor " + tensor.name + " is " + shape_text(tensor.shape),
                      "the configuration makes it " + shape_text(found->second->shape));
    if (tensor.type == ValueType::other)
      throw UserError(Exit::data, source + ": tensor " + tensor.name + " holds integers",
                      "weights are f32, f16 or bf16; quantised ones have to be turned into such first");
    missing.erase(found);
  }
  const auto names = [](const auto& all, auto&& name) {
    std::string text;
    size_t shown = 0;
    for (const auto& one : all)
      if (shown++ < 4) text += (shown > 1 ? ", " : "") + std::string(name(one));
    return text + (all.size() > 4 ? ", and " + std::to_string(all.size() - 4) + " more" : "");
  };
  if (!missing.empty())
    throw UserError(Exit::data, source + ": tensors are missing",
                    names(missing, [](const auto& entry) { return entry.first; }));
  if (!left.empty())
    throw UserError(Exit::data, source + ": tensors that the configuration has no place for",
                    names(left, [](const std::string& name) { return name; }) +
                        "\nthe model computes something that Ropewalk does not, or its config.json is another's");
}

void take_values(std::span<const ForeignTensor> theirs, std::span<const MappedTensor> map,
                 const std::map<std::string, View>& parts) {
  std::map<std::string_view, const MappedTensor*> by_name;
  for (const MappedTensor& tensor : map) by_name.emplace(tensor.name, &tensor);
  for (const ForeignTensor& from : theirs) {
    const MappedTensor& tensor = *by_name.at(from.name);
    std::vector<float> values(static_cast<size_t>(elements(tensor))), ours(values.size());
    decode(from.type, from.bytes, values);
    each_row(tensor, [&](int64_t at, int64_t first, int64_t count, int64_t step) {
      for (int64_t i = 0; i < count; ++i)
        ours[static_cast<size_t>(at + i)] = values[static_cast<size_t>(first + i * step)];
    });
    const float* next = ours.data();
    for (const std::string& name : tensor.parts) {
      const View view = parts.at(name);
      std::copy_n(next, view.shape.elements(), view.as<float>().data);
      next += view.shape.elements();
    }
  }
}

}  // namespace rw
