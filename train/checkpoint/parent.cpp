#include "train/checkpoint/parent.hpp"

#include <charconv>

#include "core/file/file.hpp"
#include "core/file/hash.hpp"
#include "core/file/manifest.hpp"

namespace rw {
namespace {

constexpr std::string_view kStepText = ", step ", kManifestHash = ", manifest ";

}  // namespace

Parent parent_of(const std::filesystem::path& folder, int64_t step) {
  const std::string text = read_text(manifest_name(folder / "checkpoint.h5"), kMaxManifest);
  return {std::filesystem::absolute(folder).lexically_normal().string(), step, hash_of(std::as_bytes(std::span(text)))};
}

std::string to_text(const Parent& parent) {
  return parent.folder + std::string(kStepText) + std::to_string(parent.step) + std::string(kManifestHash) +
         parent.manifest;
}

std::optional<Parent> parse_parent(std::string_view text) {
  const size_t manifest = text.rfind(kManifestHash), step = text.rfind(kStepText, manifest);
  if (manifest == text.npos || step == text.npos) return {};
  const std::string_view number = text.substr(step + kStepText.size(), manifest - step - kStepText.size());
  Parent out{std::string(text.substr(0, step)), 0, std::string(text.substr(manifest + kManifestHash.size()))};
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.step);
  if (error != std::errc() || end != number.data() + number.size()) return {};
  return out;
}

}  // namespace rw
