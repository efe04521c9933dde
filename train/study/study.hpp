// The study: trains models on texts of N tokens, uses each of them with many position systems on texts of up to 8 N,
// and keeps what comes out (rows.hpp says which, and what is published).
//
//   FOLDER/settings.txt     what it was begun with; another study is refused
//   FOLDER/data/            the texts (texts.hpp), unless they are used as they are
//   FOLDER/runs/MODEL-SEED/ a run folder each
//   FOLDER/results.jsonl    a line for each row of each seed
// It can be stopped at any point; the same call goes on: runs from their checkpoints, results from their last line.
//
// Accuracy is the share of tokens that are the likeliest id, over all tokens of the texts, with positions for 8 N.
// Repeated texts are a segment of the held-out text again and again: of the random ids of copy N/8, N/4 or 2 N, those
// that fit twice; of a text L/8, L/4 or L/2 of L tokens. Natural ones are stretches of it; random ids have none.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>

#include "train/config/layers.hpp"
#include "train/loop/trainer.hpp"
#include "train/study/rows.hpp"

namespace rw::study {

enum class Kind { copy, text, paper };
inline constexpr std::string_view kKinds[] = {"copy", "text", "paper"};

struct Task {
  Kind kind;
  std::string_view settings;             // of all models, under those that the user gives
  std::vector<std::string_view> models;  // by default
  int64_t seeds;                         // by default
  double repeats;                        // share of repeated passages in the training's texts, by default
  int64_t texts;                         // of each kind and length
  std::vector<std::string_view> gate;    // claims that have to hold
};
const Task& task(Kind kind);

struct Options {
  Kind kind = Kind::copy;
  std::filesystem::path folder, data;  // data: of text and paper, a folder with a validation set
  std::vector<ConfigLayer> layers;     // settings over the task's
  std::vector<std::string> models;     // names; empty: the task's
  int64_t seeds = 0;                   // 0: the task's
  std::optional<double> repeats{};     // of text and paper: a share below 1; none: the task's
  TrainerOptions trainer;
  std::function<void(const std::string&)> say;  // what begins
};

struct Cell {
  Column column;  // repeated or natural
  int64_t length;
  double loss = 0, accuracy = 0;  // nats; share
};

struct Result {
  std::string row, positions, fingerprint;
  int64_t seed = 0;
  double trained = 0;       // accuracy at N with the positions of the training: natural where that can be foretold
  std::vector<Cell> cells;  // at N, 2 N, 4 N, 8 N
};

struct Outcome {
  bool finished = false;  // else it was stopped; the same call goes on
  int64_t context = 0;    // N
  std::vector<Result> results;
};

// Throws UserError, before anything is made: Exit::usage for settings, models, seeds and repeats that cannot be, and a
// folder with another study; Exit::data for texts that cannot be read. Exit::write while another process trains a model
// in the folder. And as Trainer.
Outcome run(const Options& options);

// Over the seeds that a row has results of, in percent; NaN without.
struct Mean {
  double value = kUnknown, low = kUnknown, high = kUnknown;
};
Mean mean(const Outcome& outcome, std::string_view row, Column column, int64_t length);
Mean mean(const Outcome& outcome, std::string_view row, Column column);  // as the tables have it: at N, or at 8 N

enum class Verdict { holds, fails, unknown };  // unknown: a row has no results
Verdict judge(const Outcome& outcome, const ParsedClaim& claim);

std::string to_markdown(Kind kind, const Outcome& outcome);  // the table beside the published one, and the claims
std::string to_html(Kind kind, const Outcome& outcome);      // the same, with curves over the length

}  // namespace rw::study
