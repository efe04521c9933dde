#include "train/cli/training_result.hpp"

#include <nlohmann/json.hpp>

#include "train/cli/text_options.hpp"

namespace rw::cli {

Exit print_result(const TrainingResult& result, const std::string& run, const Global& global) {
  if (global.json) {
    const auto known = [](double v) { return std::isnan(v) ? nlohmann::ordered_json() : nlohmann::ordered_json(v); };
    const nlohmann::ordered_json json = {{"run", run},
                                         {"finished", result.finished},
                                         {"step", result.step},
                                         {"loss", known(result.loss)},
                                         {"val_loss", known(result.val_loss)},
                                         {"val_bits_per_byte", known(result.val_bits_per_byte)},
                                         {"best_val_loss", known(result.best_val)},
                                         {"checkpoint", result.checkpoint.string()}};
    print(json.dump() + "\n");
  } else {
    std::string text = "saved    " + result.checkpoint.string();
    if (!std::isnan(result.val_loss)) text += " · val loss " + fixed(result.val_loss, 4);
    if (!std::isnan(result.val_bits_per_byte)) text += " · " + fixed(result.val_bits_per_byte, 4) + " bits per byte";
    print(text + "\nnext:    ropewalk " + (result.finished ? "generate " : "resume ") + run + "\n");
  }
  return result.finished ? Exit::ok : Exit::interrupted;
}

}  // namespace rw::cli
