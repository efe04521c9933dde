#include "core/file/container.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/file.hpp"
#include "core/file/hash.hpp"
#include "core/file/hdf5_layout.hpp"
#include "core/file/manifest.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kBlock = uint64_t{4} << 20;

// Calls f(first byte, bytes) for blocks that make up [begin, end).
template <class F>
void for_blocks(uint64_t begin, uint64_t end, F&& f) {
  for (; begin < end; begin += std::min(kBlock, end - begin)) f(begin, std::min(kBlock, end - begin));
}

void hash_part(const File& file, uint64_t begin, uint64_t end, std::vector<std::byte>& buffer, Hash128& hash) {
  for_blocks(begin, end, [&](uint64_t at, uint64_t bytes) {
    const auto block = std::span(buffer).first(bytes);
    file.read(at, block);
    hash.add(block);
  });
}

std::string hash_of_part(const File& file, uint64_t begin, uint64_t end) {
  std::vector<std::byte> buffer(std::min(kBlock, end - begin));
  Hash128 hash;
  hash_part(file, begin, end, buffer, hash);
  return hash.hex();
}

void check_items(std::span<const ContainerItem> items) {
  RW_CHECK(items.size() <= kMaxEntries, items.size());
  for (const ContainerItem& item : items) {
    const auto bytes = bytes_of(item.type, item.shape);
    RW_CHECK(is_valid_path(item.path) && item.shape.size() <= kMaxRank, item.path);
    RW_CHECK(bytes && (item.fill || item.bytes.size() == *bytes), item.path, item.bytes.size());
    RW_CHECK(item.type != FileType::text || (item.shape.size() == 1 && *bytes > 0), item.path);
  }
}

// Writes the payload in the order of the file, and hashes that and the metadata between, which is there already.
Manifest write_payload(File& file, std::span<const ContainerItem> items, std::span<const uint64_t> offsets) {
  Manifest manifest;
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    order[i] = i;
    const ContainerItem& item = items[i];
    manifest.entries.push_back({item.path, item.type, item.shape, offsets[i], *bytes_of(item.type, item.shape), {}});
  }
  std::ranges::sort(order, {}, [&](size_t i) { return offsets[i]; });
  std::vector<std::byte> buffer(kBlock);
  Hash128 whole;
  uint64_t position = 0;
  for (size_t i : order) {
    const ContainerItem& item = items[i];
    ContainerEntry& entry = manifest.entries[i];
    Hash128 hash;
    if (entry.bytes > 0)
      hash_part(file, std::exchange(position, entry.offset + entry.bytes), entry.offset, buffer, whole);
    for_blocks(0, entry.bytes, [&](uint64_t at, uint64_t bytes) {
      std::span<const std::byte> block = std::span(buffer).first(bytes);
      if (item.fill)
        item.fill(at, std::span(buffer).first(bytes));
      else
        block = item.bytes.subspan(at, bytes);
      file.write(entry.offset + at, block);
      hash.add(block);
      whole.add(block);
    });
    entry.hash = hash.hex();
  }
  manifest.size = file.size();
  hash_part(file, position, manifest.size, buffer, whole);
  manifest.hash = whole.hex();
  return manifest;
}

}  // namespace

ContainerItem text_item(std::string path, std::string_view text) {
  return {std::move(path), FileType::text, {text.size()}, std::as_bytes(std::span(text)), {}};
}

void write_container(const fs::path& name, std::span<const ContainerItem> items) {
  check_items(items);
  uint64_t space = kBlock;
  for (const ContainerItem& item : items) space += *bytes_of(item.type, item.shape) + 2 * 4096;
  check_free_space(name.has_parent_path() ? name.parent_path() : ".", space);

  const fs::path temporary = temporary_name(name), manifest_temporary = temporary_name(manifest_name(name));
  try {
    File::create(temporary);  // says why it cannot, if so
    const std::vector<uint64_t> offsets = lay_out_hdf5(temporary, items);
    File file = File::modify(temporary);
    const Manifest manifest = write_payload(file, items, offsets);
    file.sync();
    file.drop_cache();
    if (hash_of_part(file, 0, file.size()) != manifest.hash)
      throw UserError(Exit::write, "cannot write " + name.string(),
                      "what the disk gives back is not what was written\nchoose a folder on another disk");
    check_hdf5(temporary, manifest.entries);
    write_text(manifest_temporary, to_text(manifest));
    move(temporary, name);
    move(manifest_temporary, manifest_name(name));
  } catch (...) {
    ::unlink(temporary.c_str());
    ::unlink(manifest_temporary.c_str());
    throw;
  }
}

Container Container::open(const fs::path& name) {
  const File file = File::open(name);
  const uint64_t size = file.size();
  const fs::path beside = manifest_name(name);
  std::error_code error;
  if (!fs::exists(beside, error))
    throw UserError(Exit::data, name.string() + " has no manifest",
                    "it can only be read with " + beside.filename().string() +
                        " beside it, which says what is in it\ncopy that file as well");
  const Manifest manifest = parse_manifest(beside, read_text(beside, kMaxManifest));
  const auto damaged = [&](const std::string& why) {
    return UserError(Exit::corrupt, name.string() + " is damaged", why);
  };
  if (size != manifest.size)
    throw damaged("it has " + std::to_string(size) + " bytes and should have " + std::to_string(manifest.size));
  if (hash_of_part(file, 0, size) != manifest.hash) {
    for (const ContainerEntry& entry : manifest.entries)
      if (hash_of_part(file, entry.offset, entry.offset + entry.bytes) != entry.hash)
        throw damaged(entry.path + " is not what was written");
    throw damaged("its metadata are not what was written");
  }
  Container container;
  container.file_ = name;
  container.entries_ = manifest.entries;
  if (size > 0) {
    void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor(), 0);
    if (memory == MAP_FAILED) throw UserError(Exit::data, "cannot map " + name.string(), std::strerror(errno));
    container.memory_ = static_cast<const std::byte*>(memory);
    container.size_ = size;
  }
  return container;
}

Container::Container(Container&& other) noexcept { *this = std::move(other); }
Container& Container::operator=(Container&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(entries_, other.entries_);
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  return *this;
}
Container::~Container() {
  if (memory_) ::munmap(const_cast<std::byte*>(memory_), size_);
}

const ContainerEntry* Container::find(std::string_view path) const {
  const auto entry = std::ranges::find(entries_, path, &ContainerEntry::path);
  return entry == entries_.end() ? nullptr : &*entry;
}

const ContainerEntry& Container::at(std::string_view path, FileType type) const {
  const ContainerEntry* entry = find(path);
  if (!entry) throw UserError(Exit::data, file_.string() + " has no " + std::string(path));
  if (entry->type != type)
    throw UserError(Exit::data,
                    file_.string() + ": " + entry->path + " is " + name_of(entry->type) + ", not " + name_of(type));
  return *entry;
}

std::span<const std::byte> Container::bytes(const ContainerEntry& entry) const {
  RW_CHECK(entry.bytes <= size_ && entry.offset <= size_ - entry.bytes, entry.path);
  return {memory_ + entry.offset, entry.bytes};
}

std::string_view Container::text(std::string_view path) const {
  const auto raw = bytes(at(path, FileType::text));
  return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

}  // namespace rw
