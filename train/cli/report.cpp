#include "train/report/report.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "train/cli/command.hpp"
#include "train/cli/text_options.hpp"
#include "train/report/verdict.hpp"

namespace rw::cli {
namespace {

using nlohmann::ordered_json;

ordered_json known(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(); }

ordered_json to_json(const report::Record& run) {
  const report::Outline o = report::outline_of(run);
  const report::Verdict v = report::verdict_of(run);
  return {{"run", run.name()},
          {"state", run.status ? ordered_json(name_of(run.status->state)) : ordered_json()},
          {"in_use", run.in_use},
          {"step", o.step},
          {"total_steps", o.total_steps},
          {"tokens", known(o.tokens)},
          {"seconds", known(o.seconds)},
          {"tokens_per_second", known(o.tokens_per_second)},
          {"memory", known(o.memory)},
          {"loss", known(o.loss)},
          {"val_loss", known(o.val_loss)},
          {"best_val_loss", known(o.best_val)},
          {"best_step", o.best_step},
          {"val_bits_per_byte", known(o.bits_per_byte)},
          {"course", report::name_of(report::course_of(run))},
          {"verdict", v.end},
          {"findings", v.findings}};
}

struct Report {
  std::vector<std::string> runs, with;
  std::string out;

  void add_options(CLI::App& app) {
    app.add_option("RUN", runs, "run folders; several are compared")->required();
    app.add_option("-o,--out", out, "the HTML file; by default RUN/report.html, or report.html for several runs")
        ->type_name("FILE");
    app.add_option("--with", with,
                   "what  ropewalk eval --context-sweep ... --json  printed, with or without --passkey: curves by "
                   "length, and maps of the keys found")
        ->type_name("FILE ...");
  }

  Exit run(const Global& global) {
    if (out.empty()) out = runs.size() == 1 ? (std::filesystem::path(runs[0]) / "report.html").string() : "report.html";
    std::vector<report::Record> records;
    for (const std::string& folder : runs) records.push_back(report::read_record(folder));
    std::vector<report::SweepFile> sweeps;
    for (const std::string& file : with) sweeps.push_back(report::read_sweep_file(file));
    report::write_report(records, out, sweeps);
    const uint64_t bytes = std::filesystem::file_size(out);
    if (global.json) {
      ordered_json json = {{"report", out}, {"bytes", bytes}, {"runs", ordered_json::array()}};
      for (const report::Record& record : records) json["runs"].push_back(to_json(record));
      print(json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
    } else {
      print("wrote " + out + ", " + byte_text(bytes) + "\n");
    }
    return Exit::ok;
  }
};

}  // namespace

Command report_command() {
  return make_command<Report>("report", "a page with the curves, samples and settings of runs",
                              "ropewalk report runs/first\nropewalk report runs/a runs/b -o compared.html\n"
                              "ropewalk eval runs/first --data data --context-sweep 512,1k,2k --json >sweep.json\n"
                              "ropewalk report runs/first --with sweep.json passkey.json\n");
}

}  // namespace rw::cli
