#include "train/exchange/safetensors.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "core/file/json.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr char kModel[] = "model.safetensors", kIndex[] = "model.safetensors.index.json";
constexpr size_t kMostDimensions = 8;
constexpr uint64_t kMostIndex = 64 << 20;

struct Type {
  std::string_view name;
  ValueType type;
  uint64_t bytes;
};
constexpr Type kValueTypes[] = {
    {"F64", ValueType::f64, 8},   {"F32", ValueType::f32, 4},   {"F16", ValueType::f16, 2},
    {"BF16", ValueType::bf16, 2}, {"I64", ValueType::other, 8}, {"U64", ValueType::other, 8},
    {"I32", ValueType::other, 4}, {"U32", ValueType::other, 4}, {"I16", ValueType::other, 2},
    {"U16", ValueType::other, 2}, {"I8", ValueType::other, 1},  {"U8", ValueType::other, 1},
    {"BOOL", ValueType::other, 1}};

std::string format_name(ValueType type) {
  const auto found = std::ranges::find(kValueTypes, type, &Type::type);
  RW_CHECK(found != std::end(kValueTypes) && type != ValueType::other);
  return std::string(found->name);
}

std::optional<uint64_t> unsigned_of(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

// One entry of the header; `data` is the byte buffer.
ForeignTensor parse_tensor(const std::string& name, const Json& entry, std::span<const std::byte> data) {
  const auto bad = [&](const std::string& why) { return UserError(Exit::data, "tensor " + name, why); };
  if (name.find('\0') != name.npos) throw bad("its name holds a NUL");
  if (!entry.is_object()) throw bad("its description is not an object");
  for (const auto& [key, value] : entry.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets") throw bad("unknown key '" + key + "'");
  if (entry.size() != 3) throw bad("dtype, shape or data_offsets is missing");
  const Json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];

  ForeignTensor out;
  out.name = name;
  const std::string wanted = dtype.is_string() ? dtype.get<std::string>() : "";
  const auto type = std::ranges::find(kValueTypes, wanted, &Type::name);
  if (type == std::end(kValueTypes))
    throw bad("its dtype is " + dtype.dump() + "; F64, F32, F16, BF16, BOOL and integers are known");
  out.type = type->type;

  if (!shape.is_array() || shape.size() > kMostDimensions) throw bad("its shape is not a list of at most 8 sizes");
  uint64_t count = 1;
  for (const Json& size : shape) {
    const auto dim = unsigned_of(size);
    if (!dim) throw bad("its shape holds " + size.dump());
    if (__builtin_mul_overflow(count, *dim, &count) || count > uint64_t{1} << 56)
      throw bad("its shape " + shape.dump() + " has too many elements");
    out.shape.push_back(*dim);
  }
  const bool pair = offsets.is_array() && offsets.size() == 2;
  const auto begin = pair ? unsigned_of(offsets[0]) : std::nullopt, end = pair ? unsigned_of(offsets[1]) : std::nullopt;
  if (!begin || !end || *begin > *end) throw bad("its data_offsets are " + offsets.dump());
  if (*end > data.size())
    throw bad("its data_offsets " + offsets.dump() + " leave the file, which has " + std::to_string(data.size()) +
              " bytes of tensors");
  if (*end - *begin != type->bytes * count)
    throw bad("its shape " + shape.dump() + " takes " + std::to_string(type->bytes * count) +
              " bytes, but its data_offsets are " + offsets.dump());
  out.bytes = data.subspan(*begin, *end - *begin);
  return out;
}

std::vector<ForeignTensor> parse_file(std::span<const std::byte> file) {
  const auto bad = [](const std::string& why) { return UserError(Exit::data, "", why); };
  uint64_t length = 0;
  if (file.size() < sizeof length) throw bad("it has only " + std::to_string(file.size()) + " bytes");
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMostSafetensorsHeader)
    throw bad("its header would have " + std::to_string(length) + " bytes; 100,000,000 are the most");
  if (length > file.size() - sizeof length)
    throw bad("its header should have " + std::to_string(length) + " bytes, but the file ends before");
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + sizeof length, length);
  if (!header.starts_with('{')) throw bad("its header does not begin with {");
  const std::span<const std::byte> data = file.subspan(sizeof length + length);

  std::vector<ForeignTensor> tensors;
  parse_members("its header", header, [&](const std::string& name, const Json& entry) {
    if (name == "__metadata__") {
      if (!entry.is_object() || !std::ranges::all_of(entry, [](const Json& v) { return v.is_string(); }))
        throw bad("its __metadata__ is not a list of texts");
    } else {
      tensors.push_back(parse_tensor(name, entry, data));
    }
  });
  std::ranges::stable_sort(tensors, {},
                           [](const ForeignTensor& t) { return std::pair(t.bytes.data(), t.bytes.size()); });
  const std::byte* next = data.data();
  for (const ForeignTensor& t : tensors) {
    if (t.bytes.data() != next)
      throw UserError(Exit::data, "tensor " + t.name,
                      t.bytes.data() < next ? "it overlaps another tensor" : "there is a gap before it");
    next += t.bytes.size();
  }
  if (next != data.data() + data.size())
    throw bad(std::to_string(data.data() + data.size() - next) + " bytes follow the last tensor");
  return tensors;
}

UserError in_file(const fs::path& file, const UserError& why) {
  const std::string what = why.what();
  return UserError(Exit::data, file.string() + (what.empty() ? " is not a safetensors file" : ": " + what), why.advice);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const fs::path& file) : file_(file) {
  try {
    tensors_ = parse_file(file_.bytes());
  } catch (const UserError& why) {
    throw in_file(file, why);
  }
}

SafetensorsFolder::SafetensorsFolder(const fs::path& folder) {
  std::error_code ignored;
  const bool whole = fs::exists(folder / kModel, ignored), sharded = fs::exists(folder / kIndex, ignored);
  if (!whole && !sharded) {
    std::string advice = std::string("there is neither ") + kModel + " nor " + kIndex + " in it";
    if (fs::exists(folder / "pytorch_model.bin", ignored))
      advice += "\npytorch_model.bin is a pickle, which can run code; save the model again as safetensors";
    throw UserError(Exit::data, "no weights in " + folder.string(), advice);
  }
  if (whole) {
    files_.emplace_back(folder / kModel);
    tensors_ = files_[0].tensors();
    return;
  }

  const fs::path index = folder / kIndex;
  const Json json = parse_json(index.string(), read_text(index, kMostIndex));
  const auto bad = [&](const std::string& why) { return UserError(Exit::data, index.string(), why); };
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
    throw bad("it has no weight_map");
  std::map<std::string, std::set<std::string>> promised;  // by file
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string()) throw bad("the file of " + tensor + " is " + file.dump());
    promised[file.get<std::string>()].insert(tensor);
  }
  for (const auto& [name, wanted] : promised) {
    if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos || name == "..")
      throw bad("'" + name + "' is not the name of a file in this folder");
    std::set<std::string> missing = wanted;
    const SafetensorsFile& file = files_.emplace_back(folder / name);
    for (const ForeignTensor& t : file.tensors()) {
      if (!missing.erase(t.name))
        throw UserError(Exit::data, (folder / name).string() + ": tensor " + t.name,
                        std::string(kIndex) + " does not list it");
      tensors_.push_back(t);
    }
    if (!missing.empty())
      throw UserError(Exit::data, (folder / name).string() + ": no tensor " + *missing.begin(),
                      std::string(kIndex) + " says that it is there");
  }
}

uint64_t OutgoingTensor::bytes() const {
  uint64_t count = 1;
  for (uint64_t dim : shape) count *= dim;
  return bytes_of(type, count);
}

namespace {

void write_file(const fs::path& file, std::span<const OutgoingTensor* const> tensors) {
  OrderedJson header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t end = 0;
  for (const OutgoingTensor* t : tensors) {
    header[t->name] = {{"dtype", format_name(t->type)}, {"shape", t->shape}, {"data_offsets", {end, end + t->bytes()}}};
    end += t->bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();

  const fs::path temporary = temporary_name(file);
  {
    File out = File::create(temporary);
    out.write(0, std::as_bytes(std::span(&length, 1)));
    out.write(sizeof length, std::as_bytes(std::span(text)));
    uint64_t at = sizeof length + length;
    std::vector<std::byte> bytes;
    for (const OutgoingTensor* t : tensors) {
      bytes.resize(t->bytes());
      t->fill(bytes);
      out.write(at, bytes);
      at += bytes.size();
    }
    out.sync();
  }
  move(temporary, file);
}

std::string shard_name(size_t index, size_t count) {
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

}  // namespace

void write_safetensors(const fs::path& folder, std::vector<OutgoingTensor> tensors, uint64_t shard) {
  std::ranges::sort(tensors, [](const OutgoingTensor& a, const OutgoingTensor& b) {
    return std::pair(a.type, std::string_view(a.name)) < std::pair(b.type, std::string_view(b.name));
  });
  create_folders(folder);
  uint64_t total = 0, filled = 0;
  std::vector<std::vector<const OutgoingTensor*>> files(1);
  for (const OutgoingTensor& t : tensors) {
    if (filled > 0 && filled + t.bytes() > shard) files.emplace_back(), filled = 0;
    files.back().push_back(&t);
    filled += t.bytes(), total += t.bytes();
  }
  check_free_space(folder, total + (uint64_t{1} << 20));
  if (files.size() == 1) return write_file(folder / kModel, files[0]);

  OrderedJson index = {{"metadata", {{"total_size", total}}}, {"weight_map", OrderedJson::object()}};
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string name = shard_name(i, files.size());
    write_file(folder / name, files[i]);
    for (const OutgoingTensor* t : files[i]) index["weight_map"][t->name] = name;
  }
  write_text(folder / kIndex, index.dump(2) + "\n");
}

}  // namespace rw
