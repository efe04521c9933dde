#include "train/cli/context_sweep.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "train/cli/text_options.hpp"
#include "train/config/units.hpp"
#include "train/loop/sweep.hpp"

namespace rw::cli {
namespace {

const char* name_of(SweepText kind) { return kind == SweepText::natural ? "natural" : "repeated"; }

nlohmann::ordered_json to_json(const SweepResult& result) {
  nlohmann::ordered_json json = {{"lengths", nlohmann::ordered_json::array()},
                                 {"by_position", nlohmann::ordered_json::array()}};
  for (const SweepCell& c : result.cells)
    json["lengths"].push_back(
        {{"length", c.length}, {"loss", c.loss}, {"accuracy", c.accuracy}, {"targets", c.targets}});
  for (const SweepPart& p : result.by_position)
    json["by_position"].push_back({{"first", p.first}, {"count", p.count}, {"loss", p.loss}, {"accuracy", p.accuracy}});
  return json;
}

}  // namespace

void ContextSweep::add_options(CLI::App& app) {
  const char* const group = "growing lengths";
  app.add_option("--context-sweep", lengths,
                 "lengths to try, as 512,1k,2k,4k: the same last tokens, seen with more and "
                 "more before them")
      ->type_name("LENGTHS")
      ->group(group);
  app.add_option("--system", systems,
                 "positions to try besides the model's own, as 'rope=yarn factor=8'; may be given often")
      ->type_name("'NAME=VALUE ...'")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  app.add_option("--text", text, "natural, repeated (a segment again and again) or both")
      ->check(CLI::IsMember({"natural", "repeated", "both"}))
      ->capture_default_str()
      ->group(group);
  add_number(app, "--score-last", score_last, Unit::length,
             "tokens scored of each text; by default the shortest length")
      ->group(group);
  add_number(app, "--texts", texts, Unit::count, "texts of each kind, spread evenly over the data")->group(group);
  add_number(app, "--segment", segment, Unit::length, "tokens of a repeated segment; by default the shortest length")
      ->group(group);
  passkey.add_options(app);
}

Exit ContextSweep::run(const Global& global, LoadedModel& loaded, const TokenData& data) const {
  SweepOptions options{.score_last = score_last, .texts = texts, .segment = segment};
  for (const std::string& word : split(lengths, ",")) options.lengths.push_back(parse_integer(word, Unit::length));
  check_lengths(options.lengths);
  const int64_t longest = options.lengths.back();
  const ModelConfig own = loaded.model.config;
  if (own.learned_positions() && longest > own.context)
    throw UserError(Exit::usage, "--context-sweep goes up to " + std::to_string(longest),
                    "the model has learned positions up to " + std::to_string(own.context));
  const std::vector<PositionSystem> all = position_systems(own, systems, longest);
  if (passkey.wanted()) return passkey.run(global, loaded, data, options.lengths, all);

  const Sweep sweep(data, options);
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  if (!global.json)
    print("the last " + std::to_string(sweep.options().score_last) + " tokens of " +
          std::to_string(sweep.options().texts) + " texts of " + data.name() + "; nats, and % of tokens foretold\n");
  for (const SweepText kind : {SweepText::natural, SweepText::repeated}) {
    if (text != "both" && text != name_of(kind)) continue;
    if (!global.json) {
      std::string head = "\n" + std::string(name_of(kind)) + " text";
      head.resize(40, ' ');
      for (const int64_t length : sweep.options().lengths) {
        const std::string column = integer_text(length, Unit::length);
        head += std::string(16 - std::min<size_t>(column.size(), 15), ' ') + column;
      }
      print(head + "\n");
    }
    for (const PositionSystem& system : all) {
      loaded.model.change_positions(system.config);
      const SweepResult result = sweep.run(loaded.model, kind);
      nlohmann::ordered_json row = row_of(system, name_of(kind));
      row.update(to_json(result));
      json.push_back(row);
      if (global.json) continue;
      std::string line = system.name;
      line.resize(std::max<size_t>(line.size(), 39), ' ');
      for (const SweepCell& cell : result.cells) {
        char column[40];
        std::snprintf(column, sizeof column, " %9.4f %4.1f%%", cell.loss, 100 * cell.accuracy);
        line += column;
      }
      print(line + "\n");
    }
  }
  if (global.json) print(json.dump() + "\n");
  return Exit::ok;
}

}  // namespace rw::cli
