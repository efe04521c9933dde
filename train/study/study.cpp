#include "train/study/study.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/check.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "data/sampler/data_set.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/load_model.hpp"
#include "train/config/positions.hpp"
#include "train/config/units.hpp"
#include "train/config/validate.hpp"
#include "train/loop/run_folder.hpp"
#include "train/loop/run_status.hpp"
#include "train/loop/sweep.hpp"
#include "train/study/results.hpp"
#include "train/study/texts.hpp"

namespace rw::study {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOrigin = "the study";
constexpr uint64_t kLargestSettings = uint64_t{1} << 26;  // bytes of a file of ours

const ModelRow& model_named(std::string_view name) {
  const auto found = std::ranges::find(models(), name, &ModelRow::name);
  if (found != models().end()) return *found;
  std::string known;
  for (const ModelRow& m : models()) known += (known.empty() ? "" : "; ") + std::string(m.name);
  throw UserError(Exit::usage, "the study has no model '" + std::string(name) + "'", "its models: " + known);
}

// "N", "N/8", "3N/4" as a number; other texts as they are.
std::string with_length(std::string_view text, int64_t context) {
  const size_t n = text.find('N');
  if (n == text.npos) return std::string(text);
  int64_t times = 1, part = 1;
  std::from_chars(text.data(), text.data() + n, times);
  if (n + 1 < text.size()) std::from_chars(text.data() + n + 2, text.data() + text.size(), part);
  return std::to_string(std::max<int64_t>(1, times * context / part));
}

struct Study {
  const Options& options;
  const Task& task;
  std::vector<const ModelRow*> wanted;
  int64_t seeds, context, longest;
  double repeats;
  Settings common;

  explicit Study(const Options& o);
  std::vector<ConfigLayer> layers() const;  // of all models
  Resolved settings_of(const ModelRow& model, int64_t seed) const;
  fs::path run_of(const ModelRow& model, int64_t seed) const;
  bool own_texts() const { return task.kind == Kind::copy || repeats > 0; }
  std::string training_data() const { return own_texts() ? (options.folder / "data").string() : options.data.string(); }

  void check() const;  // all that can be wrong, before anything is made
  void claim_folder() const;
  void write_texts() const;
  bool train(const ModelRow& model, int64_t seed) const;  // false: stopped
  TokenData test() const;
  Cell score_repeated(const TokenData& data, Model& model, int64_t length, Phase phase) const;
  Cell score_natural(const TokenData& data, Model& model, int64_t length, Phase phase) const;
  void evaluate(const ModelRow& model, int64_t seed, ResultFile& file) const;
};

std::vector<ConfigLayer> Study::layers() const {
  std::vector<ConfigLayer> all = {setting_words(task.settings, 0)};
  all.insert(all.end(), options.layers.begin(), options.layers.end());
  return all;
}

Study::Study(const Options& o)
    : options(o),
      task(study::task(o.kind)),
      seeds(o.seeds > 0 ? o.seeds : task.seeds),
      repeats(o.repeats.value_or(task.repeats)) {
  const auto refuse = [](const std::string& what, const std::string& advice) {
    throw UserError(Exit::usage, what, advice);
  };
  if (o.folder.empty()) refuse("no folder is given", "--out FOLDER");
  if (task.kind == Kind::copy && !o.data.empty()) refuse("the copy study makes its texts itself", "leave out --data");
  if (task.kind != Kind::copy && o.data.empty())
    refuse("the " + std::string(kKinds[static_cast<size_t>(task.kind)]) + " study needs texts",
           "--data FOLDER, of ropewalk data prepare --val 5%");
  if (task.kind == Kind::copy && o.repeats) refuse("the copy study has nothing but repeats", "leave out --repeats");
  if (!(repeats >= 0 && repeats < 1)) refuse("repeats is " + number_text(repeats, Unit::share), "from 0 to below 100%");
  if (o.seeds < 0) refuse("seeds is " + std::to_string(o.seeds), "at least 1, or 0 for as many as the kind has");
  for (const std::string_view name : task.models)
    if (o.models.empty()) wanted.push_back(&model_named(name));
  for (const std::string& name : o.models) wanted.push_back(&model_named(name));
  common = rw::resolve(layers()).settings;
  context = common.model.context, longest = kFactor * context;
  if (common.train.time > 0)
    refuse("a study's models are trained alike, and --time gives each of them another length", "--tokens or --steps");
  if (context < 16 || context % 8 != 0)
    refuse("the context of a study is " + std::to_string(context), "a multiple of 8, at least 16");
  if (const int64_t vocab = common.model.vocab; task.kind == Kind::copy && (vocab < context || vocab > 65536))
    refuse("the vocab of the copy study is " + std::to_string(vocab),
           "from " + std::to_string(context) + " to 65536: the ids of a segment differ, and take two bytes each");
}

void Study::check() const {
  for (const ModelRow* model : wanted) {
    const Resolved settings = settings_of(*model, 1);
    validate(settings);
    for (const Row& row : rows())
      if (row.model == model->name)
        with_positions(settings.settings.model, setting_words(row.positions, context).values, longest);
  }
  if (task.kind != Kind::copy)
    for (const Split split : {Split::train, Split::val}) TokenData::open(options.data, split);
}

Resolved Study::settings_of(const ModelRow& model, int64_t seed) const {
  std::vector<ConfigLayer> all = layers();
  all.push_back(setting_words(model.settings, context));
  ConfigLayer own;
  own.assign("data", training_data(), "data", std::string(kOrigin));
  own.assign("out", run_of(model, seed).string(), "out", std::string(kOrigin));
  own.assign("seed", std::to_string(seed), "seed", std::string(kOrigin));
  all.push_back(own);
  return rw::resolve(all);
}

fs::path Study::run_of(const ModelRow& model, int64_t seed) const {
  std::string name(model.name);
  std::erase(name, ',');
  std::ranges::replace_if(
      name, [](char c) { return c == ' ' || c == '/'; }, '-');
  return options.folder / "runs" / (name + "-" + std::to_string(seed));
}

// What decides the results: no seed, no threads, nothing of how a run logs and saves.
void Study::claim_folder() const {
  std::string text = "# ropewalk study " + std::string(kKinds[static_cast<size_t>(task.kind)]) + ", repeats " +
                     number_text(repeats, Unit::share) + (options.data.empty() ? "" : ", " + options.data.string()) +
                     "\n";
  Settings settings = common;
  visit_settings(settings, [&](const Setting& s, const Field& field) {
    if (s.section != Section::run && s.section != Section::data && s.name != "seed" && s.name != "threads")
      text += std::string(s.name) + " = " + field_text(s.unit, field) + "\n";
  });
  const fs::path file = options.folder / "settings.txt";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    create_folders(options.folder);
    write_text(file, text);
    return;
  }
  const std::string before = read_text(file, kLargestSettings);
  if (before == text) return;
  const auto [old_line, new_line] = first_difference(before, text);
  throw UserError(Exit::usage, options.folder.string() + " holds another study",
                  "it was begun with:  " + old_line + "\nthis one has:       " + new_line +
                      "\ngive another --out, or the same settings");
}

void Study::write_texts() const {
  const fs::path folder = options.folder / "data";
  std::error_code ignored;
  if (!own_texts() || fs::exists(folder / "meta.json", ignored)) return;
  if (task.kind == Kind::copy) {
    const Settings::Train& t = common.train;
    const auto tokens = static_cast<uint64_t>(t.tokens > 0 ? t.tokens : t.steps * t.batch);
    options.say("texts: " + integer_text(static_cast<int64_t>(tokens), Unit::count) + " tokens of repeated ids");
    write_copy_texts(folder, {.context = context, .vocab = common.model.vocab, .tokens = tokens});
    return;
  }
  options.say("texts: " + options.data.string() + ", and " + number_text(repeats, Unit::share) + " repeated passages");
  write_mixed_texts(folder, TokenData::open(options.data, Split::train), TokenData::open(options.data, Split::val),
                    context, repeats, 1);
}

TokenData Study::test() const {
  if (task.kind == Kind::copy) return TokenData::open(options.folder / "data" / "test.bin");
  return TokenData::open(options.data, Split::val);
}

bool Study::train(const ModelRow& model, int64_t seed) const {
  const fs::path run = run_of(model, seed);
  const auto status = read_status(run);
  if (status && status->state == RunStatus::State::finished) return true;
  std::error_code ignored;
  const bool begun = fs::exists(run / "checkpoints" / "latest", ignored);
  options.say(std::string(begun ? "on with " : "training ") + std::string(model.name) + ", seed " +
              std::to_string(seed));
  if (begun) return Trainer::resume(run, {}, options.trainer).finished;
  if (run_in_use(run))
    throw UserError(Exit::write, run.string() + " is in use", "another process trains there: wait for it, or stop it");
  if (fs::exists(run, ignored)) remove_folder(run);  // without a checkpoint there is nothing in it
  create_folders(run.parent_path());
  return Trainer::pretrain(settings_of(model, seed), options.trainer).finished;
}

SweepCell score(const TokenData& data, Model& model, SweepText kind, int64_t length, int64_t segment, int64_t texts,
                Phase phase) {
  const Sweep sweep(data,
                    {.lengths = {length}, .score_last = length, .texts = texts, .segment = segment, .phase = phase});
  return sweep.run(model, kind).cells.front();
}

Cell Study::score_repeated(const TokenData& data, Model& model, int64_t length, Phase phase) const {
  Cell cell{.column = Column::repeated, .length = length};
  std::vector<int64_t> segments = {length / 8, length / 4, length / 2};
  if (task.kind == Kind::copy) {
    segments = {context / 8, context / 4, 2 * context};
    std::erase_if(segments, [&](int64_t segment) { return segment > length / 2; });
  }
  const auto count = std::ssize(segments);
  for (const int64_t segment : segments) {
    const SweepCell c =
        score(data, model, SweepText::repeated, length, segment, (task.texts + count - 1) / count, phase);
    cell.loss += c.loss / static_cast<double>(count), cell.accuracy += c.accuracy / static_cast<double>(count);
  }
  return cell;
}

Cell Study::score_natural(const TokenData& data, Model& model, int64_t length, Phase phase) const {
  const SweepCell c = score(data, model, SweepText::natural, length, length, task.texts, phase);
  return {.column = Column::natural, .length = length, .loss = c.loss, .accuracy = c.accuracy};
}

void Study::evaluate(const ModelRow& model, int64_t seed, ResultFile& file) const {
  std::optional<LoadedModel> loaded;
  std::optional<TokenData> data;
  ModelConfig own;
  double trained = 0;
  const bool natural = task.kind != Kind::copy;
  for (const Row& row : rows()) {
    if (row.model != model.name || file.has(row.name, seed)) continue;
    if (!loaded) {
      options.say("using " + std::string(model.name) + ", seed " + std::to_string(seed));
      loaded.emplace(load_model(run_of(model, seed)));
      data.emplace(test());
      own = loaded->model.config;
      trained = (natural ? score_natural(*data, loaded->model, context, Phase::training)
                         : score_repeated(*data, loaded->model, context, Phase::training))
                    .accuracy;
    }
    const ConfigLayer changes = setting_words(row.positions, context);
    const ModelConfig config = with_positions(own, changes.values, longest);
    loaded->model.change_positions(config);
    Result result{.row = std::string(row.name),
                  .positions = position_text(config),
                  .fingerprint = position_fingerprint(config),
                  .seed = seed,
                  .trained = trained,
                  .cells = {}};
    for (int64_t length = context; length <= longest; length *= 2) {
      result.cells.push_back(score_repeated(*data, loaded->model, length, Phase::inference));
      if (natural) result.cells.push_back(score_natural(*data, loaded->model, length, Phase::inference));
    }
    file.add(result);
  }
}

}  // namespace

ConfigLayer setting_words(std::string_view text, int64_t context) {
  ConfigLayer layer;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size()), equals = text.find('=', at);
    RW_CHECK(equals < end, text);
    const std::string name(text.substr(at, equals - at));
    layer.assign(name, with_length(text.substr(equals + 1, end - equals - 1), context), name, std::string(kOrigin));
    at = end + 1;
  }
  RW_CHECK(layer.problems.empty(), text);
  return layer;
}

Outcome run(const Options& options) {
  const Study study(options);
  Outcome outcome{.finished = false, .context = study.context, .results = {}};
  study.check();
  study.claim_folder();
  study.write_texts();
  ResultFile file(options.folder / "results.jsonl");
  for (int64_t seed = 1; seed <= study.seeds; ++seed)
    for (const ModelRow* model : study.wanted) {
      if (!study.train(*model, seed)) {
        outcome.results = file.results();
        return outcome;
      }
      study.evaluate(*model, seed, file);
    }
  outcome.finished = true;
  outcome.results = file.results();
  return outcome;
}

}  // namespace rw::study
