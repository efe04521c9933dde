// What a run gives: its files, the lines at its start, metrics, evaluations, samples, checkpoints, its report.
#include <cstdio>

#include "core/base/isa.hpp"
#include "core/base/parallel.hpp"
#include "core/device/choose.hpp"
#include "layers/transformer/position_text.hpp"
#include "train/checkpoint/model_json.hpp"
#include "train/config/run_toml.hpp"
#include "train/config/units.hpp"
#include "train/loop/generator.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/position_loss.hpp"
#include "train/loop/trainer.hpp"
#include "train/loop/utf8_stream.hpp"
#include "train/report/report.hpp"

namespace rw {

void Trainer::introduce(const char* verb) {
  const Settings& s = settings_.settings;
  const EngineOptions& o = engine_.options();
  ProgressOptions progress = standard_progress(options_.json, options_.quiet);
  progress.first_step = step_, progress.log_every = s.run.log_every;
  progress.log = [this](std::string_view line) { folder_.log(line); };
  progress_ = std::make_unique<Progress>(std::move(progress));
  show_length();
  metrics_ = std::make_unique<MetricsFile>(folder_.metrics(), step_);
  events_ = std::make_unique<EventWriter>(folder_.tensorboard(), step_);
  folder_.write_settings((parent_.empty() ? "" : "# fine-tuned from " + parent_ + "\n\n") + to_toml(settings_));
  folder_.write_command(options_.arguments);

  std::ostringstream text;
  text << "ropewalk " RW_VERSION " · " << verb << " in " << folder_.path().string();
  if (step_ > 0) text << " after step " << step_;
  text << "\nmachine  " << (o.device.kind == Device::cpu ? "CPU" : describe(o.device) + ", CPU") << ", " << threads()
       << " threads, " << isa_name() << " · " << o.dtype << " · seed " << o.seed;
  if (const std::string why = choose_device(s.train.device).why_cpu; !why.empty())
    text << "\ndevice   cpu, of auto: " << why;
  if (!parent_.empty()) text << "\nparent   " << parent_;
  text << "\nmodel    " << describe(engine_.model().config);
  text << "\nposition " << position_text(engine_.model().config) << " · fingerprint "
       << position_fingerprint(engine_.model().config);
  if (const TrainedRanges& ranges = engine_.ranges(); !ranges.frozen.empty())
    text << "\ntrained  " << ranges.trained_count << " of " << ranges.count << " parameters, without " << o.freeze;
  text << "\ndata     " << integer_text(static_cast<int64_t>(data_.train.tokens()), Unit::integer)
       << " tokens to train on"
       << (data_.val ? ", " + std::to_string(data_.val->tokens()) + " held out" : std::string(", none held out"));
  text << "\nbatch    " << o.sequences * o.length << " tokens = " << o.sequences << " × " << o.length << ", "
       << (o.sequences + o.micro_batch - 1) / o.micro_batch << " micro-batches · " << (s.train.time > 0 ? "about " : "")
       << total_ << " steps · " << std::fixed << std::setprecision(1)
       << sampler_.epochs(0, static_cast<uint64_t>(total_ * o.sequences)) << " epochs";
  const bool on_cpu = o.device.kind == Device::cpu;
  // On a device the plan is taken already.
  const double taken = on_cpu ? 0 : static_cast<double>(engine_.memory().total());
  text << "\nmemory   " << memory_line(engine_.memory(), available_memory(o.device) + taken);
  if (!folder_.moved_aside().empty()) text << "\nan earlier run is now " << folder_.moved_aside().string();
  progress_->note(text.str());
  for (const std::string& line : position_advice(engine_.model().config, o.length)) progress_->warning(line);
  if (step_ == 0) events_->text("config", 0, "```\n" + to_toml(settings_) + "```");
}

void Trainer::report_step() {
  const StepReport& r = report_;
  row_ = {{"tokens", static_cast<double>(r.tokens)},
          {"seconds", seconds_},
          {"loss", r.loss},
          {"ema", r.ema},
          {"lr", r.lr},
          {"grad_norm", r.grad_norm},
          {"tokens_per_second", r.step_tokens / r.seconds},
          {"memory", r.memory}};
  for (const auto& [tag, value] : {std::pair{"train/loss", r.loss},
                                   {"train/lr", r.lr},
                                   {"train/grad_norm", r.grad_norm},
                                   {"train/tokens", static_cast<double>(r.tokens)},
                                   {"perf/tokens_per_s", r.step_tokens / r.seconds},
                                   {"perf/memory_gb", r.memory / 1e9}})
    if (!std::isnan(value)) events_->scalar(tag, step_, value);
}

void Trainer::evaluate() {
  const double start = options_.clock();
  const Settings& s = settings_.settings;
  double loss = 0, bits = 0;
  PositionLoss by_position(s.model.context);
  for (const Corpus& corpus : data_.val->corpora()) {
    const EvaluationWindows windows(corpus.data, s.model.context, s.model.context,
                                    static_cast<uint64_t>(s.run.eval_tokens));
    const Evaluation evaluation = evaluator_->run(windows, s.data.doc_mask);
    const double of_corpus = evaluation.loss();
    by_position.add(evaluation, corpus.share);
    loss += corpus.share * of_corpus;
    bits += corpus.share * bits_per_byte(of_corpus, corpus.data.targets(), corpus.data.bytes());
  }
  val_loss_ = loss, val_bits_ = bits;
  is_best_ = step_ > 0 && !std::isnan(loss) && !(loss >= best_val_);
  if (is_best_) best_val_ = loss;
  progress_->evaluation(step_, loss, bits, options_.clock() - start, is_best_);
  row_.push_back({"val_loss", loss});
  row_.push_back({"val_bits_per_byte", bits});
  events_->scalar("val/loss", step_, loss);
  if (!std::isnan(bits)) events_->scalar("val/bpb", step_, bits);
  for (const PositionLoss::Bucket& bucket : by_position.buckets()) {
    row_.push_back({std::string(kPositionMetric) + bucket.name, bucket.loss});
    events_->scalar("val/loss_by_position/" + bucket.name, step_, bucket.loss);
  }
}

void Trainer::sample() {
  const Settings::Run& run = settings_.settings.run;
  if (run.sample_tokens == 0 || !data_.tokenizer) return;
  const Tokenizer& tokenizer = *data_.tokenizer;
  Generator generator(engine_.context(), engine_.model(), engine_.options().length);
  std::vector<int32_t> ids = {tokenizer.document_start()};
  for (int32_t id : tokenizer.encode(run.sample_prompt)) ids.push_back(id);
  const SamplingOptions options{.temperature = 0.8, .top_p = 0.95, .seed = engine_.options().seed};
  std::string text = run.sample_prompt;
  auto logits = generator.append(ids);
  const size_t vocab = std::min(logits.size(), static_cast<size_t>(tokenizer.vocab()));  // the model may have more
  for (int64_t i = 0; i < run.sample_tokens; ++i) {
    const int32_t id = draw_token(logits.first(vocab), options, static_cast<uint64_t>(i));
    if (id == tokenizer.document_start()) break;
    text += tokenizer.bytes(id);
    if (i + 1 < run.sample_tokens) logits = generator.append(std::array{id});
  }
  text = printable(text);
  folder_.add_sample(step_, "temperature 0.8, top-p 0.95", text);
  events_->text("samples", step_, text);
  progress_->note("sample   " + text);
}

// A checkpoint is worth more than its evaluation.
void Trainer::try_evaluation() {
  try {
    evaluate();
    sample();
  } catch (const std::exception& error) {
    progress_->warning(std::string("evaluation failed: ") + error.what());
  }
}

void Trainer::append_metrics() {
  if (!row_.empty()) metrics_->append(step_, row_);
  row_.clear();
}

void Trainer::save() {
  if (saved_step_ == step_) return;
  const double start = options_.clock();
  CheckpointMeta meta;
  meta.step = step_, meta.tokens = report_.tokens;
  if (!std::isnan(val_loss_)) meta.val_loss = val_loss_;
  if (!std::isnan(best_val_)) meta.best_val = best_val_;
  meta.state = {{"seconds", seconds_},
                {"ema", ema_},
                {"total_steps", static_cast<double>(total_)},
                {"data_tokens", static_cast<double>(data_.train.tokens())}};
  if (timed_) meta.state["elapsed"] = elapsed(), meta.state["position"] = timed_->position();
  meta.model = model_to_json(engine_.model().config);
  meta.rope_fingerprint = position_fingerprint(engine_.model().config);
  meta.settings = to_toml(settings_);
  meta.tokenizer_hash = data_.train.tokenizer_hash();
  meta.command = shell_line(options_.arguments);
  meta.version = RW_VERSION;
  meta.parent = parent_;
  meta.ends = ends_;
  std::vector<TokenizerFile> tokenizer;
  if (data_.tokenizer) tokenizer.push_back(data_.tokenizer->file());
  engine_.pull_state();
  const SavedCheckpoint saved = save_checkpoint(folder_.checkpoints(), meta, engine_.state(), tokenizer,
                                                {.keep = settings_.settings.run.keep, .best = is_best_});
  saved_ = saved.folder, saved_step_ = step_, is_best_ = false;
  progress_->saved(step_, saved.folder.string(), options_.clock() - start);
  for (const std::string& warning : saved.warnings) progress_->warning(warning);
}

void Trainer::conclude(RunStatus::State state, const std::string& why) {
  try {
    write_status(folder_.path(), {.state = state,
                                  .step = step_,
                                  .total_steps = total_,
                                  .tokens = step_ * engine_.options().sequences * engine_.options().length,
                                  .seconds = seconds_,
                                  .why = why,
                                  .parent = parent_});
    if (state == RunStatus::State::running) return;
    const std::array record = {report::read_record(folder_.path())};
    report::write_report(record, folder_.path() / "report.html");
  } catch (const std::exception& error) {
    if (state == RunStatus::State::failed) return;  // the run's own error is the one to tell of
    try {
      progress_->warning(error.what());
    } catch (const std::exception&) {  // a full disk does not take a line of log.txt either
      std::fprintf(stderr, "warning: %s\n", error.what());
    }
  }
}

}  // namespace rw
