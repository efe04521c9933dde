#include "core/file/manifest.hpp"

#include <algorithm>
#include <set>

#include "core/base/user_error.hpp"
#include "core/file/hash.hpp"
#include "core/file/json.hpp"

namespace rw {

namespace {

constexpr std::string_view kFormat = "ropewalk container";
constexpr uint64_t kVersion = 1;
constexpr uint64_t kAlign = 4096;
constexpr std::string_view kSeal = "\"seal\": \"", kEnd = "\"\n}\n";
constexpr size_t kHex = 32;

struct TypeRow {
  FileType type;
  const char* name;
  size_t size;
};
constexpr TypeRow kTypes[] = {{FileType::f64, "f64", 8}, {FileType::f32, "f32", 4}, {FileType::bf16, "bf16", 2},
                              {FileType::i32, "i32", 4}, {FileType::u8, "u8", 1},   {FileType::u16, "u16", 2},
                              {FileType::u32, "u32", 4}, {FileType::u64, "u64", 8}, {FileType::text, "text", 1}};

const TypeRow& row_of(FileType type) { return kTypes[static_cast<size_t>(type)]; }

struct Damage {  // why a manifest is refused
  std::string reason;
};

void demand(bool condition, const std::string& otherwise) {
  if (!condition) throw Damage{otherwise};
}

uint64_t number(const Json& value, const char* what) {
  demand(value.is_number_unsigned(), std::string(what) + " is not a whole number");
  return value.get<uint64_t>();
}

std::string hash_text(const Json& value) {
  demand(value.is_string(), "a hash is not a text");
  std::string text = value.get<std::string>();
  demand(text.size() == kHex && text.find_first_not_of("0123456789abcdef") == std::string::npos, "a hash is malformed");
  return text;
}

ContainerEntry parse_entry(const Json& json, uint64_t file_size) {
  ContainerEntry entry;
  demand(json.at("path").is_string(), "a path is not a text");
  entry.path = json.at("path").get<std::string>();
  demand(is_valid_path(entry.path), "a path is malformed");
  const auto type = std::ranges::find(kTypes, json.at("type").get<std::string>(), &TypeRow::name);
  demand(type != std::end(kTypes), entry.path + " has an unknown type");
  entry.type = type->type;
  const Json& shape = json.at("shape");
  demand(shape.is_array() && shape.size() <= kMaxRank, entry.path + " has a malformed shape");
  for (const Json& dim : shape) entry.shape.push_back(number(dim, "a dimension"));
  entry.offset = number(json.at("offset"), "an offset");
  entry.bytes = number(json.at("bytes"), "a size");
  demand(bytes_of(entry.type, entry.shape) == entry.bytes, entry.path + " has a size that is not that of its shape");
  demand(entry.offset % kAlign == 0 && entry.bytes <= file_size && entry.offset <= file_size - entry.bytes,
         entry.path + " does not lie in the file");
  entry.hash = hash_text(json.at("xxh3_128"));
  return entry;
}

Json parse_text(std::string_view text) {
  try {
    return parse_json("it", text);
  } catch (const UserError& error) {
    throw Damage{error.what() + (": " + error.advice)};
  }
}

Manifest parse(std::string_view text) {
  demand(text.size() <= kMaxManifest, "it is larger than 32 MiB");
  demand(text.size() > kSeal.size() + kHex + kEnd.size(), "it is cut off");
  const size_t tail = text.size() - kSeal.size() - kHex - kEnd.size();
  const std::string hash = hash_of(std::as_bytes(std::span(text.substr(0, tail))));
  demand(text.substr(tail) == std::string(kSeal) + hash + std::string(kEnd), "its bytes differ from its own hash");

  const Json json = parse_text(text);
  demand(json.is_object() && json.at("format") == kFormat, "it is not of the format \"" + std::string(kFormat) + '"');
  if (number(json.at("version"), "the version") != kVersion)
    throw UserError(Exit::data, "format version " + json.at("version").dump() + " is not known",
                    "a newer version of the program wrote it");
  Manifest manifest;
  manifest.size = number(json.at("size"), "the file size");
  manifest.hash = hash_text(json.at("xxh3_128"));
  const Json& entries = json.at("entries");
  demand(entries.is_array() && entries.size() <= kMaxEntries, "it has no list of entries, or too long a list");
  std::set<std::string_view> paths;
  manifest.entries.reserve(entries.size());
  for (const Json& entry : entries) {
    manifest.entries.push_back(parse_entry(entry, manifest.size));
    demand(paths.insert(manifest.entries.back().path).second, manifest.entries.back().path + " is there twice");
  }
  return manifest;
}

}  // namespace

size_t size_of(FileType type) { return row_of(type).size; }
const char* name_of(FileType type) { return row_of(type).name; }

std::filesystem::path manifest_name(const std::filesystem::path& file) { return file.string() + ".manifest.json"; }

bool is_valid_path(std::string_view path) {
  if (path.size() > kMaxPath || !path.starts_with('/')) return false;
  if (!std::ranges::all_of(path, [](char c) { return c >= '!' && c <= '~'; })) return false;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

std::optional<uint64_t> bytes_of(FileType type, std::span<const uint64_t> shape) {
  uint64_t bytes = size_of(type);
  for (uint64_t dim : shape)
    if (__builtin_mul_overflow(bytes, dim, &bytes)) return {};
  return bytes;
}

std::string to_text(const Manifest& manifest) {
  std::string text = "{\n\"format\": " + OrderedJson(kFormat).dump() + ",\n\"version\": " + std::to_string(kVersion) +
                     ",\n\"size\": " + std::to_string(manifest.size) + ",\n\"xxh3_128\": \"" + manifest.hash +
                     "\",\n\"entries\": [";
  const char* separator = "\n";
  for (const ContainerEntry& e : manifest.entries) {
    const OrderedJson json = {{"path", e.path},     {"type", name_of(e.type)}, {"shape", e.shape},
                              {"offset", e.offset}, {"bytes", e.bytes},        {"xxh3_128", e.hash}};
    text += separator + json.dump();
    separator = ",\n";
  }
  text += "\n],\n";
  const std::string hash = hash_of(std::as_bytes(std::span(text)));
  return text.append(kSeal).append(hash).append(kEnd);
}

Manifest parse_manifest(const std::filesystem::path& name, std::string_view text) {
  const auto refused = [&](const std::string& reason) {
    return UserError(Exit::corrupt, name.string() + " is damaged", reason);
  };
  try {
    return parse(text);
  } catch (const Damage& damage) {
    throw refused(damage.reason);
  } catch (const Json::exception& error) {
    throw refused(error.what());
  } catch (const UserError& error) {
    throw UserError(error.code, name.string() + ": " + error.what(), error.advice);
  }
}

}  // namespace rw
