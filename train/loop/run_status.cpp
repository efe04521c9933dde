#include "train/loop/run_status.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "core/file/json.hpp"

namespace rw {
namespace {

constexpr const char* kFile = "status.json";
constexpr std::string_view kStates[] = {"running", "finished", "interrupted", "failed"};
constexpr uint64_t kLargestStatus = 1 << 20;

}  // namespace

std::string_view name_of(RunStatus::State state) { return kStates[static_cast<size_t>(state)]; }

void write_status(const std::filesystem::path& run, const RunStatus& s) {
  const nlohmann::ordered_json json = {
      {"state", name_of(s.state)}, {"step", s.step},       {"total_steps", s.total_steps},
      {"tokens", s.tokens},        {"seconds", s.seconds}, {"why", s.why},
      {"parent", s.parent}};
  write_text(run / kFile, json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
}

std::optional<RunStatus> read_status(const std::filesystem::path& run) {
  try {
    const nlohmann::json json = nlohmann::json::parse(read_text(run / kFile, kLargestStatus));
    const auto state = std::ranges::find(kStates, std::string_view(json.at("state").get_ref<const std::string&>()));
    if (state == std::end(kStates)) return {};
    return RunStatus{.state = static_cast<RunStatus::State>(state - std::begin(kStates)),
                     .step = integer_of(json.at("step")).value(),
                     .total_steps = integer_of(json.at("total_steps")).value(),
                     .tokens = integer_of(json.at("tokens")).value(),
                     .seconds = json.at("seconds").get<double>(),
                     .why = json.at("why").get<std::string>(),
                     .parent = json.at("parent").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return {};
  } catch (const std::bad_optional_access&) {
    return {};
  } catch (const UserError&) {
    return {};
  }
}

}  // namespace rw
