#include <set>

#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/manifest.hpp"
#include "train/checkpoint/checkpoint.hpp"
#include "train/checkpoint/meta.hpp"
#include "train/checkpoint/retention.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

// Rows [first, first + count) of the first dimension; all of v if that is empty.
View part_of(View v, int64_t first, int64_t count) {
  if (v.empty()) return v;
  const Shape& whole = v.shape;
  if (whole.rank == 1) return columns(v, first, count);
  const int64_t rows_each = v.rows() / whole.dim[0];
  Shape shape = whole;
  shape.dim[0] = count;
  View part = rows(v, first * rows_each, count * rows_each);
  part.shape = shape;
  return part;
}

void check_tensors(std::span<const StateTensor> tensors) {
  std::set<std::string_view> names;
  for (const StateTensor& t : tensors) {
    RW_CHECK(names.insert(t.name).second, t.name);
    RW_CHECK(t.m.empty() == t.v.empty(), t.name);
    for (const View* v : {&t.value, &t.m, &t.v}) {
      if (v != &t.value && v->empty()) continue;
      RW_CHECK(!v->empty() && v->shape == t.value.shape && v->shape.rank >= 1, t.name, *v, t.value);
      RW_CHECK(v->device.kind == Device::cpu && v->dtype != DType::i32, t.name, *v);
      RW_CHECK(v->dtype != DType::bf16 || t.m.empty(), t.name, *v);
    }
  }
}

// Bytes [begin, begin + to.size()) of the elements of v, row after row.
void gather(CView v, uint64_t begin, std::span<std::byte> to) {
  const uint64_t element = size_of(v.dtype), row = static_cast<uint64_t>(v.width()) * element,
                 stride = static_cast<uint64_t>(v.row_stride) * element;
  while (!to.empty()) {
    const uint64_t column = begin % row, bytes = std::min<uint64_t>(row - column, to.size());
    std::copy_n(v.data + begin / row * stride + column, bytes, to.data());
    to = to.subspan(bytes);
    begin += bytes;
  }
}

FileType file_type(DType dtype) {
  return dtype == DType::f64 ? FileType::f64 : dtype == DType::bf16 ? FileType::bf16 : FileType::f32;
}

ContainerItem item_of(const std::string& path, CView v) {
  ContainerItem item{path, file_type(v.dtype), {}, {}, {}};
  for (int i = 0; i < v.shape.rank; ++i)
    item.shape.push_back(static_cast<uint64_t>(v.shape.dim[static_cast<size_t>(i)]));
  if (v.row_stride == v.width() || v.rows() <= 1)
    item.bytes = {v.data, static_cast<size_t>(v.shape.elements()) * size_of(v.dtype)};
  else
    item.fill = [v](uint64_t begin, std::span<std::byte> to) { gather(v, begin, to); };
  return item;
}

std::vector<ContainerItem> items_of(std::string_view meta, std::span<const StateTensor> tensors,
                                    std::span<const TokenizerFile> tokenizer) {
  std::vector<ContainerItem> items = {text_item("/meta", meta)};
  for (const TokenizerFile& f : tokenizer)
    items.push_back({"/tokenizer/" + f.name, FileType::u8, {f.bytes.size()}, std::as_bytes(std::span(f.bytes)), {}});
  for (const StateTensor& t : tensors) items.push_back(item_of("/model/" + t.name, t.value));
  for (const StateTensor& t : tensors)
    if (!t.m.empty()) items.push_back(item_of("/optim/m/" + t.name, t.m));
  for (const StateTensor& t : tensors)
    if (!t.v.empty()) items.push_back(item_of("/optim/v/" + t.name, t.v));
  return items;
}

}  // namespace

Buffer narrowed(CView value) {
  Buffer out(Device{}, value.shape, DType::bf16);
  const View to = out;
  visit_dtype<double, float>(value.dtype, [&]<class T>() {
    for (int64_t row = 0; row < value.rows(); ++row)
      for (int64_t i = 0; i < value.width(); ++i)
        to.as<bf16>()[row][i] = bf16(static_cast<float>(value.as<T>()[row][i]));
  });
  return out;
}

void add_state(std::vector<StateTensor>& to, const Param& param, View m, View v) {
  int64_t first = 0;
  for (const Param::Part& part : param.parts) {
    to.push_back({part.name, part_of(param.value, first, part.rows), part_of(m, first, part.rows),
                  part_of(v, first, part.rows)});
    first += part.rows;
  }
  RW_CHECK(first == param.shape.dim[0], param.name(), param.shape);
}

SavedCheckpoint save_checkpoint(const fs::path& checkpoints, const CheckpointMeta& meta,
                                std::span<const StateTensor> tensors, std::span<const TokenizerFile> tokenizer,
                                SaveOptions options) {
  RW_CHECK(meta.step >= 0 && options.keep >= 1, meta.step, options.keep);
  check_tensors(tensors);
  const std::string text = to_text(meta), name = step_name(meta.step);
  const std::vector<ContainerItem> items = items_of(text, tensors, tokenizer);

  SavedCheckpoint saved;
  saved.folder = checkpoints / name;
  for (const ContainerItem& item : items) saved.bytes += *bytes_of(item.type, item.shape);
  create_folders(checkpoints);
  sync_folder(checkpoints.has_parent_path() ? checkpoints.parent_path() : ".");
  const fs::path temporary = temporary_name(saved.folder);
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    create_folders(temporary);
    write_container(temporary / "checkpoint.h5", items);
    replace_folder(temporary, saved.folder);
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
  write_text(checkpoints / "latest", name + '\n');
  if (options.best) write_text(checkpoints / "best", name + '\n');
  saved.warnings = prune(checkpoints, meta.step, options.keep);
  return saved;
}

SavedCheckpoint save_weights(const fs::path& out, const CheckpointMeta& meta, std::span<const StateTensor> tensors,
                             const std::optional<TokenizerFile>& tokenizer) {
  std::vector<TokenizerFile> files;
  if (tokenizer) files.push_back(*tokenizer);
  SavedCheckpoint saved;
  write_new_folder(out, [&](const fs::path& folder) {
    saved = save_checkpoint(folder / "checkpoints", meta, tensors, files);
    if (tokenizer) save_tokenizer(*tokenizer, folder / "tokenizer");
  });
  saved.folder = out / "checkpoints" / saved.folder.filename();
  return saved;
}

}  // namespace rw
