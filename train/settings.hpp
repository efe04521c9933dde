// Everything that a run can be told, with its defaults. One table, visit_settings, gives each field a name, a section,
// a unit and a help text; the command line (--layers), TOML files ([model] layers), the environment (ROPEWALK_LAYERS),
// `config show` and run.toml are all made from it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "layers/rotary/drawn_positions.hpp"
#include "layers/transformer/config.hpp"
#include "optim/schedule.hpp"

namespace rw {

struct Settings {
  std::string size = "5m";  // the preset that stands under everything else
  ModelConfig model;        // all of its numbers come from the preset, the vocabulary from the data

  struct Data {
    std::string data;      // "folder", or "a:0.7,b:0.3"
    bool doc_mask = true;  // attention stays inside documents
  } data;

  struct Train {
    int64_t tokens = 0;       // exactly one of tokens, steps and time is set, and says how long the run is
    int64_t steps = 0;        // optimizer steps
    double time = 0;          // seconds
    int64_t batch = 0;        // tokens of one optimizer step
    int64_t micro_batch = 0;  // sequences of one forward; 0: as many as fit the batch, at most 8
    int64_t seed = 1;
    PositionDraw draw_positions = PositionDraw::none;
    int64_t position_range = 0;  // of drawn positions
    Recompute recompute = Recompute::none;
    DType dtype = DType::f32;  // f32, f64, bf16
    bool cuda_graph = false;
    std::string device = "cpu";
    int64_t threads = 0;  // 0: one for each core
  } train;

  struct Optimizer {
    double lr = 0;
    double min_lr = 0.1;  // share of lr at the end of linear, cosine and wsd
    ScheduleKind schedule = ScheduleKind::cosine;
    int64_t warmup = 0;        // steps; 0: 2 % of the run, at least 10
    double decay_share = 0.2;  // of the run, for wsd
    double weight_decay = 0.1;
    double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
    double clip = 1.0;   // 0: off
    std::string freeze;  // patterns for the names of tensors that are not trained
  } optimizer;

  struct Run {
    std::string out;              // run folder
    bool overwrite = false;       // an existing run folder is moved aside
    int64_t log_every = 10;       // steps
    int64_t eval_every = 0;       // steps; 0: ten times in the run
    int64_t eval_tokens = 65536;  // of the validation set, at each evaluation; 0: all
    int64_t save_every = 0;       // steps; 0: at evaluations
    int64_t keep = 2;             // newest checkpoints kept, besides the best
    int64_t sample_tokens = 96;   // length of the sample at each evaluation; 0: none
    std::string sample_prompt;
  } run;
};

enum class Section { model, positions, data, train, optimizer, run };
inline constexpr std::string_view kSections[] = {"model", "positions", "data", "train", "optimizer", "run"};
inline std::string_view section_name(Section section) { return kSections[static_cast<size_t>(section)]; }

// How a value is written.
enum class Unit {
  integer,   // 12
  count,     // an amount of data, 200M: k, M and G are 1000, 1000² and 1000³
  length,    // of a window or a batch, 16k: k and M are 1024 and 1024²
  number,    // 0.001, 1e-3, 1/16
  numbers,   // 1,1.5,2: a list of them
  share,     // 0.1, 10%
  duration,  // 90s, 8min, 2h, 1d: never without a unit; kept in seconds
  text,
  flag,    // true, false (also on, off, yes, no, outside of TOML files)
  choice,  // one of some words
};

struct Setting {
  std::string_view name;  // in a TOML section; --with-dashes; ROPEWALK_IN_CAPITALS
  Section section;
  Unit unit;
  std::string_view help;
  std::string_view source = {};       // of the default, where it is not arbitrary
  bool may_change_on_resume = false;  // changes nothing of what has been trained
  bool from_size = false;             // its default is the preset's
};

// A field of an enum, by the names of its values.
struct Choice {
  std::vector<std::string_view> names;
  std::function<size_t()> get;
  std::function<void(size_t)> set;
};
using Field = std::variant<int64_t*, double*, bool*, std::string*, std::vector<double>*, Choice>;

// Calls f for every setting, in the order of sections, with where its value is in `settings`.
void visit_settings(Settings& settings, const std::function<void(const Setting&, Field)>& f);

std::string option_name(std::string_view setting);       // "micro_batch" -> "--micro-batch"
std::string environment_name(std::string_view setting);  // "micro_batch" -> "ROPEWALK_MICRO_BATCH"

// The value as it is written in the setting's unit, so that set_field gives the same bits again.
std::string field_text(Unit unit, const Field& field);

// Reads it. Throws UserError that says what is wrong with `text`, without the setting's name.
void set_field(Unit unit, const Field& field, std::string_view text);

// "NUMBER", "TEXT", "cosine|linear": what a value looks like, for help texts.
std::string value_form(Unit unit, const Field& field);

}  // namespace rw
