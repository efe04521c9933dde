#include "train/config/validate.hpp"

#include <algorithm>

#include "core/device/choose.hpp"

namespace rw {
namespace {

// Far above what can be trained, so that no product of sizes leaves 64 bits, and no index of a random number its own.
constexpr int64_t kMostThreads = 1024, kMostLayers = 1 << 12, kMostWidth = 1 << 20, kMostPositions = 1 << 24,
                  kMostVocab = 1 << 24, kMostSteps = int64_t{1} << 31, kMostTokens = int64_t{1} << 48,
                  kMostActivations = int64_t{1} << 34;

class Checker {
 public:
  explicit Checker(const Resolved& resolved) : origins_(resolved.origins), settings_(resolved.settings) {
    visit_settings(settings_, [&](const Setting& setting, const Field& field) {
      texts_[std::string(setting.name)] = field_text(setting.unit, field);
    });
  }

  // "heads 6 (preset 5m)"
  std::string show(const std::string& name) const {
    const auto origin = origins_.find(name);
    return name + " " + texts_.at(name) + (origin == origins_.end() ? "" : " (" + origin->second + ")");
  }

  void require(bool holds, const std::string& what, const std::string& advice) {
    if (!holds) problems_.emplace_back(Exit::usage, what, advice);
  }
  template <class T>
  void at_least(const char* name, T value, T least) {
    require(value >= least, show(name) + " is too small", "it must be at least " + text(static_cast<double>(least)));
  }
  template <class T>
  void at_most(const char* name, T value, T most) {
    require(value <= most, show(name) + " is too large", "it must be at most " + text(static_cast<double>(most)));
  }
  void positive(const char* name, double value) {
    require(value > 0, show(name) + " is not positive", "it must be greater than 0");
  }
  void within(const char* name, double value, double low, double high, bool closed) {
    require(value >= low && (closed ? value <= high : value < high), show(name) + " is out of range",
            "it must be from " + text(low) + " to " + text(high) + (closed ? "" : ", which it may not be"));
  }
  std::vector<UserError> take() { return std::move(problems_); }

 private:
  static std::string text(double value) { return field_text(Unit::number, &value); }

  const Origins& origins_;
  Settings settings_;
  std::map<std::string, std::string> texts_;
  std::vector<UserError> problems_;
};

void check_model(Checker& check, const ModelConfig& m) {
  constexpr int64_t kOne = 1;
  check.at_least("vocab", m.vocab, int64_t{0});
  check.at_least("layers", m.layers, kOne);
  check.at_least("width", m.width, kOne);
  check.at_least("heads", m.heads, kOne);
  check.at_least("kv_heads", m.kv_heads, kOne);
  check.at_least("head_width", m.head_width, kOne);
  check.at_least("hidden", m.hidden, kOne);
  check.at_least("context", m.context, kOne);
  check.at_most("vocab", m.vocab, kMostVocab);
  check.at_most("layers", m.layers, kMostLayers);
  for (const auto& [name, value] :
       {std::pair{"width", m.width}, {"heads", m.heads}, {"head_width", m.head_width}, {"hidden", m.hidden}})
    check.at_most(name, value, kMostWidth);
  check.at_most("context", m.context, kMostPositions);
  if (m.context <= kMostPositions)
    for (const auto& [name, value] : {std::pair{"width", m.width}, {"hidden", m.hidden}})
      check.require(value > kMostWidth || m.context * value < kMostActivations,
                    check.show(name) + " times " + check.show("context") + " is too large",
                    "it must be less than " + std::to_string(kMostActivations));
  if (m.heads >= 1 && m.heads <= kMostWidth && m.head_width <= kMostWidth)
    check.require(m.heads * m.head_width <= kMostWidth,
                  check.show("heads") + " times " + check.show("head_width") + " is too large",
                  "it must be at most " + std::to_string(kMostWidth));
  if (m.heads >= 1 && m.kv_heads >= 1)
    check.require(m.heads % m.kv_heads == 0, check.show("kv_heads") + " does not divide " + check.show("heads"),
                  "every key and value head serves the same number of query heads");
  check.at_least("trained_context", m.trained_context, int64_t{0});
  check.require(!m.qk_norm || m.key_norm == KeyNorm::none, check.show("key_norm") + " and " + check.show("qk_norm"),
                "queries and keys are normed once: give one of them");
  if (m.rotary() && m.head_width >= 1 && m.context >= 1 && m.trained_context >= 0) {
    check.require(m.head_width % 2 == 0 || m.rope.share < 1, check.show("head_width") + " is odd",
                  "rope turns pairs; take an even one, or --positions learned");
    check.require(m.rope.base > 1, check.show("rope_base") + " is too small", "it must be greater than 1");
    if (m.rope.base > 1 && (m.head_width % 2 == 0 || m.rope.share < 1)) {
      const std::string problem = rope_problem(m.rope, m.head_width, m.trained());
      check.require(problem.empty(), "the rotary rule of " + check.show("rope") + " is refused: " + problem,
                    "what each option asks for:  ropewalk pretrain --help");
    }
  }
  check.require(m.rotary() || m.rope == RopeConfig{.base = m.rope.base},
                check.show("rope") + " is of no use with " + check.show("positions"), "nothing is rotated there");
  if (m.context >= 1 && m.layers >= 1 && m.trained_context >= 0) {
    const std::string problem =
        position_problem(resolve_positions(m.positions, m.trained(), m.layers), m.trained(), m.layers);
    check.require(problem.empty(), check.show("positions") + " is refused: " + problem,
                  "what each option asks for:  ropewalk pretrain --help");
  }
  check.positive("norm_eps", m.norm_eps);
  check.within("dropout", m.dropout, 0, 1, false);
}

void check_train(Checker& check, const Settings& s) {
  const Settings::Train& t = s.train;
  check.at_least("tokens", t.tokens, int64_t{0});
  check.at_least("steps", t.steps, int64_t{0});
  check.at_least("time", t.time, 0.0);
  const int lengths = (t.tokens != 0) + (t.steps != 0) + (t.time != 0);
  check.require(lengths != 0, "nothing says how long the run is", "give --tokens 200M, --steps 3000 or --time 10min");
  check.require(lengths <= 1, "more than one of tokens, steps and time is set", "give one");
  check.at_most("tokens", t.tokens, kMostTokens);
  check.at_most("steps", t.steps, kMostSteps);
  check.at_least("batch", t.batch, int64_t{1});
  check.at_most("batch", t.batch, int64_t{1} << 32);
  check.at_least("micro_batch", t.micro_batch, int64_t{0});
  const int64_t context = s.model.context;
  if (t.batch >= 1 && context >= 1) {
    const int64_t fits = std::max<int64_t>(1, t.batch / context);
    check.require(t.batch % context == 0, check.show("batch") + " is no multiple of " + check.show("context"),
                  "a step takes whole sequences; nearest: --batch " + std::to_string(fits * context) + " or --batch " +
                      std::to_string((fits + 1) * context));
    if (t.batch % context == 0 && t.micro_batch >= 1)
      check.require(t.batch / context % t.micro_batch == 0,
                    check.show("micro_batch") + " does not divide the " + std::to_string(t.batch / context) +
                        " sequences of a step",
                    "they are batch / context = " + std::to_string(t.batch) + " / " + std::to_string(context));
  }
  if (has_range(t.draw_positions)) {
    check.require(t.position_range >= context, check.show("position_range") + " is below " + check.show("context"),
                  "give the context that the model is to reach, as --position-range " + std::to_string(8 * context));
    check.at_most("position_range", t.position_range, kMostPositions);
  } else {
    check.require(t.position_range == 0, check.show("position_range") + " is of no use",
                  "it goes with --draw-positions random or pose");
  }
  if (t.draw_positions != PositionDraw::none) {
    check.require(s.model.rotary(),
                  check.show("draw_positions") + " wants rotary positions, not " + check.show("positions"),
                  "leave it out");
    const bool sound = s.model.rotary() && context >= 1 && s.model.layers >= 1 && s.model.trained_context >= 0;
    const PositionConfig p =
        sound ? resolve_positions(s.model.positions, s.model.trained(), s.model.layers) : s.model.positions;
    for (int64_t l = 0; sound && l < s.model.layers; ++l) {
      if (layer_positions(p, l, s.model.layers, Phase::training).near < 0) continue;
      check.require(false, check.show("draw_positions") + " and " + check.show("positions"),
                    "near and far are told apart by consecutive positions; give one of the two");
      break;
    }
  }
  check.at_least("seed", t.seed, int64_t{0});
  check.at_least("threads", t.threads, int64_t{0});
  check.at_most("threads", t.threads, kMostThreads);
  check.require(is_device_name(t.device), "unknown " + check.show("device"),
                "there are cpu, cuda, cuda:1 and so on, and auto: cuda if it can be used, else cpu");
  check.require(t.device == "cpu" ? t.dtype != DType::bf16 : t.dtype != DType::f64,
                check.show("device") + " and " + check.show("dtype"),
                "f64 is for the CPU, bf16 for a GPU; f32 is for both");
}

void check_optimizer(Checker& check, const Settings::Optimizer& o) {
  check.positive("lr", o.lr);
  check.within("min_lr", o.min_lr, 0, 1, true);
  check.at_least("warmup", o.warmup, int64_t{0});
  check.within("decay_share", o.decay_share, 0, 1, true);
  check.at_least("weight_decay", o.weight_decay, 0.0);
  check.within("beta1", o.beta1, 0, 1, false);
  check.within("beta2", o.beta2, 0, 1, false);
  check.positive("eps", o.eps);
  check.at_least("clip", o.clip, 0.0);
}

void check_run(Checker& check, const Settings::Run& r) {
  check.at_least("log_every", r.log_every, int64_t{1});
  check.at_least("eval_every", r.eval_every, int64_t{0});
  check.at_least("eval_tokens", r.eval_tokens, int64_t{0});
  check.at_least("save_every", r.save_every, int64_t{0});
  check.at_least("keep", r.keep, int64_t{1});
  check.at_least("sample_tokens", r.sample_tokens, int64_t{0});
}

}  // namespace

std::vector<UserError> problems_of(const Resolved& resolved) {
  Checker check(resolved);
  check_model(check, resolved.settings.model);
  check_train(check, resolved.settings);
  check_optimizer(check, resolved.settings.optimizer);
  check_run(check, resolved.settings.run);
  return check.take();
}

void validate(const Resolved& resolved) {
  const auto problems = problems_of(resolved);
  if (!problems.empty()) throw problems.front();
}

}  // namespace rw
