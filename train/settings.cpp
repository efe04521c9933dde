#include "train/settings.hpp"

#include <algorithm>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "train/config/suggest.hpp"
#include "train/config/units.hpp"

namespace rw {
namespace {

template <class E>
Choice choice(E& field, std::vector<std::pair<std::string_view, E>> values) {
  Choice out;
  for (const auto& [name, value] : values) out.names.push_back(name);
  out.get = [&field, values] {
    for (size_t i = 0; i < values.size(); ++i)
      if (values[i].second == field) return i;
    throw Error("a choice has a value without a name");
  };
  out.set = [&field, values](size_t i) { field = values.at(i).second; };
  return out;
}

constexpr std::string_view kGpt3 = "Brown et al. 2020, arXiv 2005.14165, appendix B";
constexpr std::string_view kDeepSeek = "DeepSeek-AI 2024, arXiv 2401.02954, equation 1";
constexpr bool kResume = true, kPreset = true;

}  // namespace

void visit_settings(Settings& s, const std::function<void(const Setting&, Field)>& f) {
  using enum Section;
  using enum Unit;
  ModelConfig& m = s.model;
  f({"size", model, text, "preset of model and recipe: 1m, 5m, 15m, 50m, 125m, 350m"}, &s.size);
  f({"vocab", model, count, "rows of the embedding; 0: as many as the data's tokenizer has tokens"}, &m.vocab);
  f({"layers", model, integer, "transformer blocks", {}, !kResume, kPreset}, &m.layers);
  f({"width", model, integer, "of the residual stream", {}, !kResume, kPreset}, &m.width);
  f({"heads", model, integer, "query heads", {}, !kResume, kPreset}, &m.heads);
  f({"kv_heads", model, integer, "key and value heads; divides heads", {}, !kResume, kPreset}, &m.kv_heads);
  f({"head_width", model, integer, "of one head; even with rope", {}, !kResume, kPreset}, &m.head_width);
  f({"hidden", model, integer, "width inside the MLP", {}, !kResume, kPreset}, &m.hidden);
  f({"context", model, length, "tokens of one training sequence", {}, !kResume, kPreset}, &m.context);
  f({"tied", model, flag, "the output layer is the embedding", "Press and Wolf 2016, arXiv 1608.05859"}, &m.tied);
  f({"norm", model, choice, "kind of norm", "Zhang and Sennrich 2019, arXiv 1910.07467"},
    rw::choice(m.norm, {{"rms", NormKind::rms}, {"layer", NormKind::layer}}));
  f({"norm_eps", model, number, "added to the mean square in a norm", "Touvron et al. 2023, arXiv 2307.09288"},
    &m.norm_eps);
  f({"mlp", model, choice, "kind of MLP", "Shazeer 2020, arXiv 2002.05202"},
    rw::choice(m.mlp, {{"swiglu", MlpKind::swiglu}, {"gelu", MlpKind::gelu}, {"gelu_tanh", MlpKind::gelu_tanh}}));
  f({"attention_bias", model, choice, "bias on the query, key and value projections, and on the output's"},
    rw::choice(m.attention_bias,
               {{"none", AttentionBias::none}, {"qkv", AttentionBias::qkv}, {"all", AttentionBias::all}}));
  f({"mlp_bias", model, flag, "bias on the MLP's projections, and on LayerNorms"}, &m.mlp_bias);
  f({"qk_norm", model, flag, "RMSNorm of each head's query and key"}, &m.qk_norm);
  f({"key_norm", model, choice, "which of query and key has length one, without a gain", "Su, Transformer upgrade 15"},
    rw::choice(
        m.key_norm,
        {{"none", KeyNorm::none}, {"query", KeyNorm::query}, {"key", KeyNorm::key}, {"cosine", KeyNorm::cosine}}));
  f({"dropout", model, share, "of the embedding and of each branch"}, &m.dropout);

  PositionConfig& p = m.positions;
  RopeConfig& r = m.rope;
  std::vector<std::pair<std::string_view, PositionKind>> kinds;
  for (const PositionKind kind : kPositionKinds) kinds.emplace_back(position_kind_name(kind), kind);
  std::vector<std::pair<std::string_view, RopeRule>> rules;
  for (const RopeRule rule : kRopeRules) rules.emplace_back(rope_rule_name(rule), rule);
  f({"positions", Section::positions, choice, "how a token knows its position", "Su et al. 2021, arXiv 2104.09864"},
    rw::choice(p.kind, kinds));
  f({"rope", Section::positions, choice, "rule of the rotary frequencies"}, rw::choice(r.rule, rules));
  f({"rope_base", Section::positions, number, "base of the rotary frequencies", "Men et al. 2024, arXiv 2405.14591",
     !kResume, kPreset},
    &r.base);
  f({"rope_layout", Section::positions, choice, "pairs (c, c + d/2), or (2c, 2c + 1)",
     "half: what Hugging Face's models have"},
    rw::choice(m.rope_layout, {{"half", RopeLayout::half}, {"interleaved", RopeLayout::interleaved}}));
  f({"rope_share", Section::positions, share, "of a head that is rotated: its first coordinates"}, &r.share);
  f({"factor", Section::positions, number, "by how much the rule extends the trained length; at least 1"}, &r.factor);
  f({"trained_context", Section::positions, length, "what rules and maps extend from; 0: context"}, &m.trained_context);
  f({"ntk_exponent", Section::positions, number, "of ntk_mixed, 0 to 1", "Su, Transformer upgrade 11"}, &r.exponent);
  f({"beta_fast", Section::positions, number,
     "turns in training from which a frequency stays; 0: 32 (llama3: 4, its high_freq_factor)",
     "Peng et al. 2023, arXiv 2309.00071"},
    &r.beta_fast);
  f({"beta_slow", Section::positions, number,
     "turns up to which it is divided by factor; 0: 1 (llama3: low_freq_factor)", "the same"},
    &r.beta_slow);
  f({"rope_ramp", Section::positions, choice, "in what by_parts and yarn go from one to the other",
     "index: the code of YaRN; rotations: its paper"},
    rw::choice(r.ramp, {{"index", RopeRamp::index}, {"rotations", RopeRamp::rotations}}));
  f({"rope_blend", Section::positions, choice, "mean of frequencies, or of wavelengths"},
    rw::choice(r.blend, {{"arithmetic", RopeBlend::arithmetic}, {"harmonic", RopeBlend::harmonic}}));
  f({"rope_truncate", Section::positions, flag, "the ends of yarn's ramp are rounded to whole pairs"}, &r.truncate);
  f({"attention_factor", Section::positions, number, "on queries and keys, of yarn and longrope; 0: the rule's own"},
    &r.attention_factor);
  f({"mscale", Section::positions, number, "of yarn, with mscale_all_dim; 0: not given"}, &r.mscale);
  f({"mscale_all_dim", Section::positions, number, "of yarn; 0: not given"}, &r.mscale_all_dim);
  f({"short_factor", Section::positions, numbers, "of longrope: one for each pair"}, &r.short_factor);
  f({"long_factor", Section::positions, numbers, "of longrope, beyond trained_context"}, &r.long_factor);
  f({"window", Section::positions, length, "distance up to which nothing is bent, or seen at all; 0: the source's"},
    &p.window);
  f({"far_step", Section::positions, number, "step of distances beyond the window, as 1/16; 0: the source's"},
    &p.far_step);
  f({"group", Section::positions, integer, "positions that self_extend takes as one; 0: 8"}, &p.group);
  f({"sinks", Section::positions, integer, "first tokens that stay visible; 0: the source's; -1: none"}, &p.sinks);
  f({"reach", Section::positions, length, "largest distance of lambda; 0: window"}, &p.reach);
  f({"full_layers", Section::positions, integer, "of hwfa2: layers without a window; 0: 2"}, &p.full_layers);
  f({"full_window", Section::positions, length, "of hwfa2 in use: rerope's window in the full layers; 0: rope"},
    &p.full_window);
  f({"log_n", Section::positions, choice,
     "attention grows with ln of what it sees: in training and use, or beyond trained_context only",
     "Su 2021; Transformer upgrade 11"},
    rw::choice(p.log_n, {{"off", LogN::off}, {"trained", LogN::trained}, {"beyond", LogN::beyond}}));
  f({"log_n_min", Section::positions, integer, "keys that log_n trained assumes at least"}, &p.log_n_min);

  f({"data", Section::data, text, "folder of tokens, or several with weights: a:0.7,b:0.3"}, &s.data.data);
  f({"doc_mask", Section::data, flag, "attention stays inside a document"}, &s.data.doc_mask);

  Settings::Train& t = s.train;
  f({"tokens", train, count, "length of the run in tokens (or give steps, or time)",
     "20 for each parameter: Hoffmann et al. 2022, arXiv 2203.15556", kResume, kPreset},
    &t.tokens);
  f({"steps", train, count, "length of the run in optimizer steps", {}, kResume}, &t.steps);
  f({"time", train, duration, "length of the run in wall time: as many steps as fit", {}, kResume}, &t.time);
  f({"batch", train, length, "tokens of one optimizer step; a multiple of context", kDeepSeek, !kResume, kPreset},
    &t.batch);
  f({"micro_batch", train, integer, "sequences of one forward; 0: what fits the batch, at most 8"}, &t.micro_batch);
  f({"seed", train, integer, "of everything random"}, &t.seed);
  f({"draw_positions", train, choice,
     "positions of a training sequence: as they are; drawn below position_range; or with gaps of one random size",
     "random: Ruoss et al. 2023, arXiv 2305.16843; pose: Zhu et al. 2023, arXiv 2309.10400; equal_mean: Su, "
     "Transformer upgrade 8"},
    rw::choice(t.draw_positions, {{"none", PositionDraw::none},
                                  {"random", PositionDraw::random},
                                  {"pose", PositionDraw::pose},
                                  {"equal_mean", PositionDraw::equal_mean}}));
  f({"position_range", train, length, "the context that random and pose train for; at least context"},
    &t.position_range);
  f({"recompute", train, choice, "what backward computes again, to save memory"},
    rw::choice(t.recompute, {{"none", Recompute::none}, {"norms", Recompute::norms}, {"block", Recompute::block}}));
  f({"dtype", train, choice, "of weights and activations; bf16, on a GPU, learns f32 weights and rounds them"},
    rw::choice(t.dtype, {{"f32", DType::f32}, {"f64", DType::f64}, {"bf16", DType::bf16}}));
  f({"device", train, text, "where it runs: cpu, cuda, cuda:1, or auto", {}, kResume}, &t.device);
  f({"cuda_graph", train, flag, "on a GPU, steps run as one CUDA graph each: the same numbers", {}, kResume},
    &t.cuda_graph);
  f({"threads", train, integer, "0: one for each core", {}, kResume}, &t.threads);

  Settings::Optimizer& o = s.optimizer;
  f({"lr", optimizer, number, "largest learning rate", kDeepSeek, !kResume, kPreset}, &o.lr);
  f({"min_lr", optimizer, share, "of lr, at the end of the schedule", kGpt3}, &o.min_lr);
  f({"schedule", optimizer, choice, "course of the learning rate after warm-up", kGpt3},
    rw::choice(o.schedule, {{"constant", ScheduleKind::constant},
                            {"linear", ScheduleKind::linear},
                            {"cosine", ScheduleKind::cosine},
                            {"wsd", ScheduleKind::wsd}}));
  f({"warmup", optimizer, count, "steps until lr is reached; 0: 2% of the run, at least 10"}, &o.warmup);
  f({"decay_share", optimizer, share, "last part of the run, in which wsd falls",
     "Hägele et al. 2024, arXiv 2405.18392"},
    &o.decay_share);
  f({"weight_decay", optimizer, number, "of matrices", kGpt3}, &o.weight_decay);
  f({"beta1", optimizer, number, "AdamW's decay of the mean", kGpt3}, &o.beta1);
  f({"beta2", optimizer, number, "AdamW's decay of the mean square", kGpt3}, &o.beta2);
  f({"eps", optimizer, number, "added to AdamW's divisor", kGpt3}, &o.eps);
  f({"clip", optimizer, number, "largest norm of the gradient; 0: no clipping", kGpt3}, &o.clip);
  f({"freeze", optimizer, text, "tensors that are not trained, as model.embed_tokens.*,model.layers.0.*"}, &o.freeze);

  Settings::Run& run_settings = s.run;
  f({"out", run, text, "run folder", {}, kResume}, &run_settings.out);
  f({"overwrite", run, flag, "an existing run folder is moved aside", {}, kResume}, &run_settings.overwrite);
  f({"log_every", run, count, "steps", {}, kResume}, &run_settings.log_every);
  f({"eval_every", run, count, "steps; 0: ten times in the run", {}, kResume}, &run_settings.eval_every);
  f({"eval_tokens", run, count, "of the validation set at each evaluation; 0: all", {}, kResume},
    &run_settings.eval_tokens);
  f({"save_every", run, count, "steps; 0: at evaluations", {}, kResume}, &run_settings.save_every);
  f({"keep", run, integer, "newest checkpoints kept, besides the best", {}, kResume}, &run_settings.keep);
  f({"sample_tokens", run, count, "length of the sample at each evaluation; 0: none", {}, kResume},
    &run_settings.sample_tokens);
  f({"sample_prompt", run, text, "what the sample goes on from", {}, kResume}, &run_settings.sample_prompt);
}

std::string option_name(std::string_view setting) {
  std::string out = "--" + std::string(setting);
  std::ranges::replace(out, '_', '-');
  return out;
}

std::string environment_name(std::string_view setting) {
  std::string out = "ROPEWALK_";
  for (const char c : setting) out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

std::string field_text(Unit unit, const Field& field) {
  if (const auto* i = std::get_if<int64_t*>(&field)) return integer_text(**i, unit);
  if (const auto* x = std::get_if<double*>(&field)) return number_text(**x, unit);
  if (const auto* b = std::get_if<bool*>(&field)) return **b ? "true" : "false";
  if (const auto* s = std::get_if<std::string*>(&field)) return **s;
  if (const auto* list = std::get_if<std::vector<double>*>(&field)) {
    std::string out;
    for (const double value : **list) out.append(out.empty() ? "" : ",").append(number_text(value, Unit::number));
    return out;
  }
  const Choice& c = std::get<Choice>(field);
  return std::string(c.names.at(c.get()));
}

void set_field(Unit unit, const Field& field, std::string_view text) {
  if (const auto* i = std::get_if<int64_t*>(&field)) {
    **i = parse_integer(text, unit);
  } else if (const auto* x = std::get_if<double*>(&field)) {
    **x = parse_number(text, unit);
  } else if (const auto* b = std::get_if<bool*>(&field)) {
    **b = parse_flag(text);
  } else if (const auto* s = std::get_if<std::string*>(&field)) {
    **s = text;
  } else if (const auto* list = std::get_if<std::vector<double>*>(&field)) {
    std::vector<double> values;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      values.push_back(parse_number(text.substr(at, end - at), Unit::number));
      at = end + 1;
    }
    **list = std::move(values);
  } else {
    const Choice& c = std::get<Choice>(field);
    std::string wanted(text);
    std::ranges::replace(wanted, '-', '_');
    const auto at = std::ranges::find(c.names, wanted);
    if (at == c.names.end()) {
      std::string advice = did_you_mean(text, c.names);
      if (!advice.empty()) advice += '\n';
      advice += "it is one of";
      for (const std::string_view name : c.names) advice.append(name == c.names.front() ? " " : ", ").append(name);
      throw UserError(Exit::usage, "'" + std::string(text) + "' is none of the choices", advice);
    }
    c.set(static_cast<size_t>(at - c.names.begin()));
  }
}

std::string value_form(Unit unit, const Field& field) {
  if (const auto* c = std::get_if<Choice>(&field)) {
    std::string out;
    for (const std::string_view name : c->names) out.append(out.empty() ? "" : "|").append(name);
    return out;
  }
  switch (unit) {
    case Unit::integer:
      return "INTEGER";
    case Unit::count:
      return "COUNT";
    case Unit::length:
      return "LENGTH";
    case Unit::number:
      return "NUMBER";
    case Unit::numbers:
      return "NUMBERS";
    case Unit::share:
      return "SHARE";
    case Unit::duration:
      return "DURATION";
    case Unit::text:
      return "TEXT";
    case Unit::flag:
    case Unit::choice:
      return "";
  }
  throw Error("value_form: unknown unit");
}

}  // namespace rw
