#include "train/loop/libraries.hpp"

#include <dnnl.h>
#include <hwy/highway.h>
#include <toml++/toml.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include <CLI/Version.hpp>
#include <nlohmann/json.hpp>

#include "core/file/hdf5_layout.hpp"

namespace rw {
namespace {

template <class Number>
std::string dotted(Number major, Number minor, Number patch) {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace

std::vector<Library> libraries() {
  const dnnl_version_t* dnnl = dnnl_version();
  const unsigned xxhash = XXH_versionNumber();
  return {
      {"oneDNN", dotted(dnnl->major, dnnl->minor, dnnl->patch)},
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

std::string library_mismatch() {
  const dnnl_version_t* dnnl = dnnl_version();
  if (dnnl->major == DNNL_VERSION_MAJOR && dnnl->minor >= DNNL_VERSION_MINOR) return {};
  return "oneDNN " + dotted(dnnl->major, dnnl->minor, dnnl->patch) + " was loaded, and " +
         dotted(DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH) + " is expected";
}

}  // namespace rw
