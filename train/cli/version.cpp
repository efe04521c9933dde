#include <dnnl.h>
#include <hwy/highway.h>
#include <toml++/toml.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>

#include "core/base/isa.hpp"
#include "core/file/hdf5_layout.hpp"
#include "train/cli/command.hpp"

namespace rw::cli {
namespace {

std::string dotted(unsigned major, unsigned minor, unsigned patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

// Those of shared libraries are asked from the library that was loaded.
std::vector<std::pair<std::string, std::string>> libraries() {
  const dnnl_version_t* dnnl = dnnl_version();
  const unsigned xxhash = XXH_versionNumber();
  return {
      {"oneDNN", dotted(static_cast<unsigned>(dnnl->major), static_cast<unsigned>(dnnl->minor),
                        static_cast<unsigned>(dnnl->patch))},
      {"Highway", dotted(HWY_MAJOR, HWY_MINOR, HWY_PATCH)},
      {"HDF5", hdf5_version()},
      {"SentencePiece", RW_SENTENCEPIECE_VERSION},
      {"CLI11", CLI11_VERSION},
      {"toml++", dotted(TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH)},
      {"nlohmann-json", dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
      {"zlib", zlibVersion()},
      {"zstd", ZSTD_versionString()},
      {"xxHash", dotted(xxhash / 10000, xxhash / 100 % 100, xxhash % 100)}};
}

constexpr const char* kCompiler = "g++ " __VERSION__;

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
