// A sealed container: an HDF5 file (h5py and h5ls read it) and its manifest NAME.manifest.json beside it, which holds
// sizes and XXH3-128 hashes of the whole file, metadata included, and of every tensor. Reading never calls libhdf5:
// once the hash of the whole file agrees, the manifest says where each tensor lies, and the file is mapped into memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rw {

// text is a string: a scalar in HDF5, of shape [bytes] here; not empty. u8 is for bytes that are not text.
enum class FileType : uint8_t { f64, f32, bf16, i32, u8, u16, u32, u64, text };

size_t size_of(FileType type);
const char* name_of(FileType type);

// What is to be written. Paths are absolute ("/model/lm_head.weight"), of printable ASCII, without ".." as a part.
// The payload is either in memory or comes in blocks: fill(first byte, block) is called once for each, in order.
struct ContainerItem {
  std::string path;
  FileType type = FileType::u8;
  std::vector<uint64_t> shape;  // row-major, at most 8 dimensions; empty tensors are allowed
  std::span<const std::byte> bytes = {};
  std::function<void(uint64_t, std::span<std::byte>)> fill = {};
};
ContainerItem text_item(std::string path, std::string_view text);  // refers to `text`

// Writes `file` and its manifest: lays out with libhdf5 (every tensor starts at a multiple of 4096), writes and hashes
// the payload, flushes it to the disk, reads everything back, and only then gives both their names. Equal items give
// equal bytes. An existing file is replaced; a crash on the way leaves the old pair, no pair, or the new one, or a pair
// that open() refuses. Throws UserError: Exit::write, naming the file and the reason; nothing half-written keeps a
// name.
void write_container(const std::filesystem::path& file, std::span<const ContainerItem> items);

struct ContainerEntry {
  std::string path;
  FileType type = FileType::u8;
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128, 32 hexadecimal digits, as `xxhsum -H2` prints it
};

class Container {
 public:
  // Reads and hashes the whole file before anything of it is used. Throws UserError: Exit::data if the file or its
  // manifest is not there, cannot be read or is of a newer version; Exit::corrupt, naming the damaged tensor, if they
  // disagree.
  static Container open(const std::filesystem::path& file);
  Container(Container&& other) noexcept;
  Container& operator=(Container&& other) noexcept;
  ~Container();

  const std::vector<ContainerEntry>& entries() const { return entries_; }
  const ContainerEntry* find(std::string_view path) const;  // null if there is none
  const ContainerEntry& at(std::string_view path,
                           FileType type) const;  // UserError(Exit::data) if there is none of this type
  std::span<const std::byte> bytes(const ContainerEntry& entry) const;  // while this lives; read-only, aligned to 4096
  std::string_view text(std::string_view path) const;                   // of a text
  template <class T>
  std::span<const T> array(const ContainerEntry& entry) const {  // T as wide as the type
    const auto raw = bytes(entry);
    return {reinterpret_cast<const T*>(raw.data()), raw.size() / sizeof(T)};
  }

 private:
  Container() = default;

  std::filesystem::path file_;
  std::vector<ContainerEntry> entries_;
  const std::byte* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rw
