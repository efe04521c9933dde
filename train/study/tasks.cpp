#include "train/study/study.hpp"

namespace rw::study {
namespace {

// The gate's orderings are the ones that are far apart at this size too.
constexpr std::string_view kLadder =
    "repeated: Baseline < NTK-old < NTK-mixed < ReRoPE w N/2 < ReRoPE w N/2 + log n beyond";

std::vector<std::string_view> all_models() {
  std::vector<std::string_view> names;
  for (const ModelRow& model : models()) names.push_back(model.name);
  return names;
}

const Task kTasks[] = {
    {.kind = Kind::copy,
     .settings =
         "size=1m vocab=128 layers=2 width=128 heads=2 kv_heads=2 head_width=64 hidden=128 tied=false context=64 "
         "rope_base=10000 steps=1000 batch=4096 micro_batch=64 lr=2e-3 schedule=wsd warmup=50 weight_decay=0 "
         "eval_every=1000 eval_tokens=8192 sample_tokens=0 save_every=200",
     .models = {"plain", "inverse leaky", "inverse leaky, log n", "inverse leaky, log n, w N/2, g 32"},
     .seeds = 3,
     .repeats = 0,
     .texts = 24,
     .gate = {kLadder}},
    {.kind = Kind::text,
     .settings =
         "size=1m layers=3 width=128 heads=2 kv_heads=2 head_width=64 hidden=256 tied=false context=128 "
         "rope_base=10000 steps=1600 batch=4096 micro_batch=32 lr=2e-3 schedule=wsd warmup=50 weight_decay=0.01 "
         "eval_every=1600 sample_tokens=0 save_every=200",
     .models = all_models(),
     .seeds = 1,
     .repeats = 0.5,
     .texts = 24,
     .gate = {}},
    {.kind = Kind::paper,
     .settings = "size=125m layers=24 width=768 heads=6 kv_heads=6 head_width=128 hidden=1024 context=512 "
                 "rope_base=10000 steps=15k batch=128k sample_tokens=0",
     .models = all_models(),
     .seeds = 1,
     .repeats = 0,
     .texts = 96,
     .gate = {}},
};

}  // namespace

const Task& task(Kind kind) { return kTasks[static_cast<size_t>(kind)]; }

}  // namespace rw::study
