#include "core/file/json.hpp"
#include "layers/rotary/base_bound.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <optional>

#include "layers/rotary/frequencies.hpp"
#include "train/cli/command.hpp"
#include "train/cli/text_options.hpp"
#include "train/config/units.hpp"

namespace rw::cli {
namespace {

std::string base_text(double base) {
  return base < 1000 ? fixed(base, 1) : grouped(static_cast<uint64_t>(std::llround(base)));
}
std::string length_text(int64_t length) { return grouped(static_cast<uint64_t>(length)); }
std::string right(std::string text, size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

// Heads of some width, of which a share is rotated.
struct Head {
  int64_t width = 0, rotated = 0;
  double share = 1;

  int64_t still() const { return width - rotated; }
  bool unbounded() const { return still() >= rotated; }  // no base and no distance makes the similarity negative
  std::vector<double> theta(double base) const {
    RopeConfig config;
    config.base = base;
    config.share = share;
    return rope_frequencies(config, width, 1, 1).theta;
  }
  // Up to which context the base suits; none if it is `most` or more.
  std::optional<int64_t> reach(double base, int64_t most) const {
    if (unbounded()) return std::nullopt;
    const int64_t length = rope_usable_length(theta(base), most, still());
    return length < most ? std::optional(length) : std::nullopt;
  }
  std::optional<double> bound(int64_t context) const {
    try {
      return rope_base_bound(context, rotated, still());
    } catch (const UserError&) {
      return std::nullopt;
    }
  }
  // The bound rounded up to as few digits as it still suits the context with. A larger base need not.
  double round_base(double bound, int64_t context) const {
    for (int digits = 2; digits < 8; ++digits) {
      const double unit = std::pow(10, std::floor(std::log10(bound)) - digits + 1);
      const double rounded = std::ceil(bound / unit) * unit;
      if (!reach(rounded, context)) return rounded;
    }
    return bound;
  }
};

struct Octave {
  int64_t begin, end;
  double similarity, least;  // f(begin) / f(0), and the least of f(r) / f(0) for begin ≤ r < end
};

// Distances 1, 2, 4 .. up to the context, and from there to twice as far.
std::vector<Octave> similarities(const Head& head, double base, int64_t context) {
  const std::vector<double> theta = head.theta(base);
  const double self = rope_similarity(theta, 0, head.still());
  std::vector<Octave> out;
  for (int64_t begin = 1, end; begin < 2 * context; begin = end) {
    end = begin < context ? std::min(2 * begin, context) : 2 * context;
    Octave octave{begin, end, rope_similarity(theta, begin, head.still()) / self, HUGE_VAL};
    for (int64_t r = begin; r < end; ++r)
      octave.least = std::min(octave.least, rope_similarity(theta, r, head.still()) / self);
    out.push_back(octave);
  }
  return out;
}

struct Base {
  int64_t context = 0, head_dim = 0;
  double share = 1, base = 0;
  CLI::Option* given = nullptr;  // --base

  void add_options(CLI::App& app) {
    const auto required = [](CLI::Option* option) { option->required()->default_str(""); };
    required(add_number(app, "--context", context, Unit::length, "tokens that attention shall reach back"));
    required(add_number(app, "--head-dim", head_dim, Unit::integer, "width of one attention head"));
    add_number(app, "--share", share, Unit::share, "part of a head that is rotated: its first coordinates");
    given = add_number(app, "--base", base, Unit::number, "say how far this base reaches too")->default_str("");
  }

  Exit run(const Global& global) {
    const Head head = checked();
    const std::vector<Bound> curve = curve_of(head);
    print(global.json ? json(head, curve).dump() + "\n" : text(head, curve));
    return Exit::ok;
  }

 private:
  struct Bound {
    int64_t context;
    std::optional<double> base;  // none up to 1000 times the context
  };

  Head checked() const {
    if (context < 1)
      throw UserError(Exit::usage, "--context is " + std::to_string(context) + ", and must be at least 1",
                      "it is a number of tokens, as 32k");
    RopeConfig config;
    config.share = share;
    if (given->count()) config.base = base;
    if (const std::string problem = rope_problem(config, head_dim, 1); !problem.empty())
      throw UserError(Exit::usage, "these options make no rotary embedding: " + problem,
                      "--head-dim is the width of one head, --share the part of it that is rotated\n"
                      "as --head-dim 128 --share 50% --base 10000");
    return {head_dim, rotated_width(config, head_dim), share};
  }

  // For contexts 256, 512 .. and the one that is asked for; empty if there are no bounds.
  std::vector<Bound> curve_of(const Head& head) const {
    std::vector<Bound> out;
    if (head.unbounded()) return out;
    for (int64_t c = 256; c < context; c *= 2) out.push_back({c, head.bound(c)});
    // Without a base to look at there is no answer if the bound is none.
    out.push_back(
        {context, given->count() ? head.bound(context) : rope_base_bound(context, head.rotated, head.still())});
    return out;
  }

  int64_t far() const { return std::max<int64_t>(16 * context, 1 << 20); }  // how far a reach is looked for

  OrderedJson json(const Head& head, const std::vector<Bound>& curve) const {
    OrderedJson out = {
        {"context", context}, {"head_dim", head.width}, {"rotated", head.rotated}, {"bound", OrderedJson()}};
    const auto reach = [&](double at) {
      const auto found = head.reach(at, far());
      return found ? OrderedJson(*found) : OrderedJson();
    };
    if (const auto bound = bound_of(curve))
      out["bound"] = {{"base", *bound}, {"reach", reach(*bound)}, {"round_base", head.round_base(*bound, context)}};
    if (given->count())
      out["base"] = {{"base", base}, {"reach", reach(base)}, {"suffices", !head.reach(base, context)}};
    out["curve"] = OrderedJson::array();
    for (const Bound& b : curve)
      out["curve"].push_back({{"context", b.context}, {"bound", b.base ? OrderedJson(*b.base) : OrderedJson()}});
    out["similarity"] = {{"base", shown(curve)}, {"distances", OrderedJson::array()}};
    for (const Octave& o : similarities(head, shown(curve), context))
      out["similarity"]["distances"].push_back(
          {{"from", o.begin}, {"to", o.end - 1}, {"similarity", o.similarity}, {"least", o.least}});
    return out;
  }

  std::string text(const Head& head, const std::vector<Bound>& curve) const {
    std::string out = "heads of width " + std::to_string(head.width);
    if (head.still() > 0) out += ", of which " + std::to_string(head.rotated) + " coordinates are rotated";
    if (head.unbounded())
      out += "\n\nthere is no bound: with half of a head not rotated every base suits every context\n";
    if (!curve.empty()) out += "\n\n   context   least base\n";
    for (const Bound& b : curve)
      out += right(integer_text(b.context, Unit::length), 10) + right(b.base ? base_text(*b.base) : "none", 13) + "\n";
    const auto reach_text = [&](double at) {
      const auto reach = head.reach(at, far());
      if (head.unbounded()) return std::string("any number of tokens");
      return reach ? length_text(*reach) + " tokens" : "more than " + length_text(far()) + " tokens";
    };
    const auto bound = bound_of(curve);
    if (bound || given->count()) out += "\n";
    if (bound)
      out += "bound  " + base_text(*bound) + " is the least base for a context of " + length_text(context) +
             "; it reaches " + reach_text(*bound) + "\n       a larger base need not suit: see it with --base\n";
    if (given->count())
      out += "base   " + base_text(base) + " reaches " + reach_text(base) +
             (head.reach(base, context) ? ": too short for " : ", and so suits ") + length_text(context) + "\n";
    out += plot(head, shown(curve));
    if (bound && !given->count()) {
      out += "\nnext: ropewalk pretrain --context " + integer_text(context, Unit::length) + " --head-width " +
             std::to_string(head.width) + " --rope-base " + number_text(head.round_base(*bound, context), Unit::number);
      if (head.still() > 0) out += " --rope-share " + number_text(share, Unit::share);
      out += " --data DATA --out RUN\n";
    }
    return out;
  }

  static std::optional<double> bound_of(const std::vector<Bound>& curve) {
    return curve.empty() ? std::nullopt : curve.back().base;
  }
  // Whose similarities are printed.
  double shown(const std::vector<Bound>& curve) const {
    return given->count() ? base : bound_of(curve).value_or(RopeConfig().base);
  }

  std::string plot(const Head& head, double at) const {
    std::string out = "\nhow much more attention a similar token gets than a random one, with base " + base_text(at) +
                      "\n(1 at distance 0; below 0 a random one gets more)\n\n" +
                      "            distance    at first  least\n";
    for (const Octave& o : similarities(head, at, context)) {
      const std::string range =
          length_text(o.begin) + (o.end - 1 > o.begin ? " to " + length_text(o.end - 1) : std::string());
      const auto bar = static_cast<size_t>(std::max(0.0, std::round(40 * o.least)));
      out += right(range, 22) + right(fixed(o.similarity, 3), 10) + right(fixed(o.least, 3), 7) +
             (o.least < 0 ? "  below 0"
              : bar       ? "  " + std::string(bar, '#')
                          : "") +
             (o.begin == context ? "  (beyond the context)" : "") + "\n";
    }
    return out;
  }
};

}  // namespace

Command base_command() {
  return make_command<Base>("base", "the least base of rotary embedding for a context",
                            "ropewalk base --context 32k --head-dim 128\n"
                            "ropewalk base --context 8k --head-dim 64 --base 500000\n"
                            "ropewalk base --context 8k --head-dim 64 --share 75%\n");
}

}  // namespace rw::cli
