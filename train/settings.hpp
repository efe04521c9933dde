// Everything that a run can be told, with its defaults. One table, visit_settings, gives each a name, a section and a
// help text; the command line (--layers), TOML files ([model] layers), the environment (ROPEWALK_LAYERS), `config show`
// and run.toml are all made from it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/transformer/config.hpp"
#include "optim/schedule.hpp"

namespace rw {

// A length of training: optimizer steps, or tokens, or wall time ("200M tok", "3000 steps", "10min").
struct Settings {
  ModelConfig model;  // vocab comes from the tokenizer of the data

  struct Data {
    std::string data;      // "folder", or "a:0.7,b:0.3"
    bool doc_mask = true;  // attention stays inside documents
  } data;

  struct Train {
    int64_t tokens = 0;       // to train on in all; 0: `steps` says
    int64_t steps = 0;        // optimizer steps; 0: `tokens` says
    int64_t batch = 16384;    // tokens of one optimizer step
    int64_t micro_batch = 0;  // sequences of one forward; 0: as many as fit the batch, at most 8
    int64_t seed = 1;
    Recompute recompute = Recompute::none;
    DType dtype = DType::f32;  // f32, f64
    std::string device = "cpu";
    int64_t threads = 0;  // 0: one for each core
  } train;

  struct Optimizer {
    double lr = 1e-3;
    double min_lr = 0.1;  // share of lr at the end of linear, cosine and wsd
    ScheduleKind schedule = ScheduleKind::cosine;
    int64_t warmup = 0;        // steps; 0: 2 % of the run, at least 10
    double decay_share = 0.2;  // of the run, for wsd
    double weight_decay = 0.1;
    double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
    double clip = 1.0;  // 0: off
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

}  // namespace rw
