#include "train/study/study.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/file/atomic.hpp"
#include "train/cli/position_systems.hpp"
#include "train/cli/settings_options.hpp"
#include "train/config/units.hpp"

namespace rw::cli {
namespace {

using nlohmann::ordered_json;

constexpr auto kSections = {Section::model, Section::data, Section::train, Section::optimizer, Section::run};

ordered_json to_json(const study::Outcome& outcome) {
  ordered_json rows = ordered_json::array(), orderings = ordered_json::array();
  for (const study::Row& row : study::rows()) {  // what is not known is NaN, which dump() writes as null
    const auto of = [&](study::Column column) { return study::mean(outcome, row.name, column).value; };
    const double trained = of(study::Column::trained);
    if (std::isnan(trained)) continue;
    rows.push_back({{"row", row.name},
                    {"trained", trained},
                    {"repeated", of(study::Column::repeated)},
                    {"natural", of(study::Column::natural)},
                    {"published", {row.trained, row.repeated, row.natural}}});
  }
  for (const study::Claim& claim : study::claims()) {
    const study::Verdict verdict = study::judge(outcome, study::parse_claim(claim.text));
    orderings.push_back(
        {{"number", claim.number},
         {"ordering", claim.text},
         {"holds",
          verdict == study::Verdict::unknown ? ordered_json() : ordered_json(verdict == study::Verdict::holds)}});
  }
  return {{"context", outcome.context}, {"finished", outcome.finished}, {"rows", rows}, {"orderings", orderings}};
}

struct Study {
  std::string kind, out, data, models;
  int64_t seeds = 0;
  std::string repeats;
  bool check = false;
  SettingsOptions settings;

  void add_options(CLI::App& app) {
    std::vector<std::string> kinds(std::begin(study::kKinds), std::end(study::kKinds));
    app.add_option("KIND", kind,
                   "copy: random ids again and again, 20 minutes on two cores; text: real text, up to 90 minutes; "
                   "paper: the sizes of the source, for a GPU")
        ->required()
        ->check(CLI::IsMember(kinds));
    app.add_option("--out", out, "folder of the study; a study that was stopped goes on there")->required();
    app.add_option("--data", data, "of text and paper: a folder of tokens with a validation set");
    app.add_option("--models", models, "models to train, as 'plain;log n'; by default those of the kind")
        ->type_name("NAMES");
    add_number(app, "--seeds", seeds, Unit::integer, "trainings of each model; 0: as many as the kind has");
    app.add_option("--repeats", repeats, "share of repeated passages put into the training's texts, of text and paper")
        ->type_name("SHARE");
    app.add_flag("--check", check, "end with an error unless the orderings hold that the kind is sure to show");
    settings.add(app, kSections, {"data", "out", "overwrite", "seed", "time", "position_range", "draw_positions"});
  }

  study::Options options(const Global& global) const {
    study::Options o{.kind = static_cast<study::Kind>(std::ranges::find(study::kKinds, kind) - study::kKinds),
                     .folder = out,
                     .data = data,
                     .layers = settings.layers(),
                     .models = {},
                     .seeds = seeds,
                     .trainer = {.arguments = global.arguments, .json = global.json, .quiet = true},
                     .say = [&global](const std::string& text) {
                       if (!global.quiet) std::fprintf(stderr, "%s\n", text.c_str());
                     }};
    if (!repeats.empty()) o.repeats = parse_number(repeats, Unit::share);
    o.models = split(models, ";");
    if (!models.empty() && o.models.empty()) throw UserError(Exit::usage, "--models names none", "as 'plain;log n'");
    return o;
  }

  Exit run(const Global& global) {
    const study::Options o = options(global);
    const study::Outcome outcome = study::run(o);
    const std::filesystem::path folder = out;
    write_text(folder / "table.md", study::to_markdown(o.kind, outcome));
    write_text(folder / "study.html", study::to_html(o.kind, outcome));
    if (global.json)
      print(to_json(outcome).dump() + "\n");
    else
      print(outcome.finished ? study::to_markdown(o.kind, outcome)
                             : "stopped, with " + std::to_string(outcome.results.size()) + " results in " + out +
                                   "/table.md; the same command goes on\n");
    if (!outcome.finished) return Exit::interrupted;
    if (check)
      for (const std::string_view claim : study::task(o.kind).gate)
        if (study::judge(outcome, study::parse_claim(claim)) != study::Verdict::holds)
          throw UserError(Exit::check, "an ordering does not hold: " + std::string(claim), "see " + out + "/table.md");
    return Exit::ok;
  }
};

}  // namespace

Command study_command() {
  return make_command<Study>("study", "how far models reach beyond their trained length, beside published tables",
                             "ropewalk study copy --out studies/copy\n"
                             "ropewalk study text --data data --out studies/text\n"
                             "ropewalk study copy --models 'plain;log n' --seeds 1 --steps 4k --out studies/other\n");
}

}  // namespace rw::cli
