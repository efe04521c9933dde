#include <nlohmann/json.hpp>

#include "core/base/isa.hpp"
#include "train/cli/command.hpp"
#include "train/loop/libraries.hpp"

namespace rw::cli {
namespace {

#ifdef __clang__
constexpr const char* kCompiler = __VERSION__;  // with its name
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

}  // namespace

std::string version_text() {
  std::string out = "ropewalk " RW_VERSION "\n";
  out += "build         " RW_BUILD_TYPE ", " + std::string(kCompiler) + "\n";
  out += "instructions  " + isa_name() + "\n";
  const char* title = "libraries     ";
  for (const auto& [name, version] : libraries()) {
    out += title + name + " " + version + "\n";
    title = "              ";
  }
  return out;
}

std::string version_json() {
  nlohmann::ordered_json json = {
      {"version", RW_VERSION}, {"build", RW_BUILD_TYPE}, {"compiler", kCompiler}, {"instructions", isa_name()}};
  for (const auto& [name, version] : libraries()) json["libraries"][name] = version;
  return json.dump() + "\n";
}

}  // namespace rw::cli
