// Settings of a fine-tuning: the model is that of a checkpoint, the recipe has defaults of its own.
//
//   preset < checkpoint's model < finetune defaults < files < environment < command line
//
// lr      a tenth of the lr of the preset nearest in parameters: between the 1/4 of GPT (Radford et al. 2018, Improving
//         Language Understanding by Generative Pre-Training, section 4.1: 6.25e-5 after 2.5e-4) and the 1/15 of Llama 2
//         (Touvron et al. 2023, arXiv 2307.09288, sections 2.2 and 3.1: 2e-5 after 3e-4); schedule, warm-up and the
//         rest are those of pretraining, as there
// batch   32 sequences (GPT, the same section), or less of a long context: at most the preset's batch
// length  two epochs of the data (Llama 2, section 3.1)
// context the length that the model was trained at
#pragma once
#include "train/config/layers.hpp"

namespace rw {

struct FinetuneSettings {
  Resolved resolved;  // model.context is the length of training sequences
  ModelConfig model;  // of the new run; its context is the longest that has been trained, here or before
};

// `parent`: the model of the checkpoint. Its positions may be extended (positions.hpp). Throws UserError(Exit::usage):
// the first problem of a layer; a setting of the model is another than the checkpoint's (but dropout, context and
// positions), with both values; a context longer than the trained one with the same positions and without
// `untrained_positions`, or beyond learned positions.
FinetuneSettings resolve_finetune(const ModelConfig& parent, std::span<const ConfigLayer> layers,
                                  bool untrained_positions);

// Sets the length of the run, if no layer gave one, once the data are known.
void set_finetune_length(Resolved& settings, uint64_t data_tokens);

}  // namespace rw
