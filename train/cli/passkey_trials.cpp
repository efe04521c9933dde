#include "train/cli/passkey_trials.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "layers/rotary/words.hpp"
#include "train/cli/text_options.hpp"
#include "train/config/units.hpp"
#include "train/loop/passkey.hpp"

namespace rw::cli {
namespace {

std::string percent(double share) { return fixed(100 * share, 1) + "%"; }

void print_table(const PasskeyOptions& o, const PasskeyResult& result) {
  for (size_t d = 0; d < o.depths.size(); ++d) {
    std::string line = "  " + words(100 * o.depths[d], '%');
    line.resize(10, ' ');
    for (size_t l = 0; l < o.lengths.size(); ++l) {
      char column[48];
      std::snprintf(column, sizeof column, " %9.4f %6s", result.loss[d][l], percent(result.accuracy[d][l]).c_str());
      line += column;
    }
    print(line + "\n");
  }
}

}  // namespace

void PasskeyTrials::add_options(CLI::App& app) {
  const char* const group = "growing lengths";
  app.add_option("--passkey", form,
                 "in the place of such texts: a key hidden in natural text, and asked for at its end. Of words and "
                 "digits (text), of random ids (ids), or of words where the model has a tokenizer (auto)")
      ->expected(0, 1)
      ->check(CLI::IsMember({"auto", "text", "ids"}))
      ->default_str("auto")  // what --passkey alone says
      ->group(group);
  app.add_option("--depths", depths, "where the key lies, as shares of the text; by default 0,25%,50%,75%,100%")
      ->type_name("SHARES")
      ->group(group);
  add_number(app, "--trials", trials, Unit::count, "keys for each length and depth")->group(group);
  add_number(app, "--seed", seed, Unit::integer, "of the keys")->group(group);
}

Exit PasskeyTrials::run(const Global& global, LoadedModel& loaded, const TokenData& data, std::vector<int64_t> lengths,
                        const std::vector<PositionSystem>& systems) const {
  const Tokenizer* tokenizer = form == "ids" ? nullptr : loaded.tokenizer.get();
  if (form == "text" && !tokenizer)
    throw UserError(Exit::data, loaded.folder.string() + " has no tokenizer",
                    "it was trained on token ids: use keys of ids, --passkey ids");
  if (seed < 0) throw UserError(Exit::usage, "--seed is negative", "it must be at least 0");
  PasskeyOptions options{.lengths = std::move(lengths), .trials = trials, .seed = static_cast<uint64_t>(seed)};
  if (!depths.empty()) options.depths.clear();
  for (const std::string& word : split(depths, ",")) options.depths.push_back(parse_number(word, Unit::share));
  const Passkey passkey(data, tokenizer, std::move(options));
  const PasskeyOptions& o = passkey.options();
  const char* const name = tokenizer ? "text" : "ids";

  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  if (!global.json)
    print("keys in texts of " + data.name() + ", " + std::to_string(o.trials) +
          " for each length and depth; nats per token of the key, and % of keys found\n");
  for (const PositionSystem& system : systems) {
    if (!global.json) {
      std::string head = "  depth   ";
      for (const int64_t length : o.lengths) {
        const std::string column = integer_text(length, Unit::length);
        head += std::string(17 - std::min<size_t>(column.size(), 16), ' ') + column;
      }
      print("\n" + system.name + "\n" + head + "\n");
    }
    loaded.model.change_positions(system.config);
    const PasskeyResult result = passkey.run(loaded.model);
    if (!global.json) print_table(o, result);
    nlohmann::ordered_json row = row_of(system, "passkey");
    row.update({{"form", name},
                {"trials", o.trials},
                {"seed", o.seed},
                {"lengths", o.lengths},
                {"depths", o.depths},
                {"accuracy", result.accuracy},
                {"loss", result.loss}});
    json.push_back(std::move(row));
  }
  if (global.json) print(json.dump() + "\n");
  return Exit::ok;
}

}  // namespace rw::cli
