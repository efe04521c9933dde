#include "train/checkpoint/checkpoint.hpp"

#include <algorithm>
#include <limits>
#include <sstream>

#include "core/base/user_error.hpp"
#include "train/checkpoint/meta.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

DType dtype_of(const std::string& file, const ContainerEntry& entry) {
  switch (entry.type) {
    case FileType::f64:
      return DType::f64;
    case FileType::f32:
      return DType::f32;
    case FileType::bf16:
      return DType::bf16;
    default:
      throw UserError(Exit::data, file + ": " + entry.path + " is " + name_of(entry.type),
                      "tensors are f32, f64 or bf16");
  }
}

CView view_of(const std::string& file, const Container& container, const ContainerEntry& entry) {
  constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  CView view;
  view.shape.rank = static_cast<int>(entry.shape.size());
  if (entry.shape.empty() || entry.shape.size() > view.shape.dim.size() ||
      std::ranges::any_of(entry.shape, [](uint64_t dim) { return dim > kLargest; }))
    throw UserError(Exit::data, file + ": " + entry.path + " has a shape that is not known here",
                    "tensors have 1 to 4 dimensions");
  std::ranges::transform(entry.shape, view.shape.dim.begin(), [](uint64_t dim) { return static_cast<int64_t>(dim); });
  view.dtype = dtype_of(file, entry);
  view.data = container.bytes(entry).data();
  view.row_stride = view.width();
  return view;
}

}  // namespace

Checkpoint::Checkpoint(fs::path folder, Container container)
    : folder_(std::move(folder)), container_(std::move(container)) {
  constexpr std::string_view kModel = "/model/", kOptim = "/optim/";
  const std::string name = folder_.string();
  if (!container_.find("/meta"))
    throw UserError(Exit::data, name + " is not a checkpoint",
                    container_.entries().empty() ? "it is empty" : "it holds " + container_.entries()[0].path);
  meta_ = parse_meta(name, container_.text("/meta"));
  size_t moments = 0, moments_used = 0;
  for (const ContainerEntry& entry : container_.entries()) {
    if (entry.path.starts_with(kOptim)) ++moments;
    if (!entry.path.starts_with(kModel)) continue;
    Tensor tensor{entry.path.substr(kModel.size()), view_of(name, container_, entry), {}, {}};
    for (auto [path, view] : {std::pair("/optim/m/", &tensor.m), std::pair("/optim/v/", &tensor.v)})
      if (const ContainerEntry* moment = container_.find(path + tensor.name)) {
        *view = view_of(name, container_, *moment);
        ++moments_used;
        if (view->shape != tensor.value.shape)
          throw UserError(Exit::corrupt, name + " is damaged", moment->path + " has another shape than its parameter");
      }
    tensors_.push_back(std::move(tensor));
  }
  if (moments != moments_used)
    throw UserError(Exit::corrupt, name + " is damaged", "it has optimizer state of parameters that are not there");
}

const Checkpoint::Tensor* Checkpoint::find(std::string_view name) const {
  const auto tensor = std::ranges::find(tensors_, name, &Tensor::name);
  return tensor == tensors_.end() ? nullptr : &*tensor;
}

bool Checkpoint::has_optimizer() const {
  return !tensors_.empty() &&
         std::ranges::none_of(tensors_, [](const Tensor& t) { return t.m.empty() || t.v.empty(); });
}

std::vector<TokenizerFile> Checkpoint::tokenizer() const {
  constexpr std::string_view kTokenizer = "/tokenizer/";
  std::vector<TokenizerFile> files;
  for (const ContainerEntry& entry : container_.entries())
    if (entry.path.starts_with(kTokenizer)) {
      const auto bytes = container_.bytes(entry);
      files.push_back({entry.path.substr(kTokenizer.size()),
                       std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())});
    }
  return files;
}

namespace {

// Collects names, of which a message shows the first few.
class Problem {
 public:
  explicit Problem(std::string what) : what_(std::move(what)) {}
  void add(const std::string& name) {
    if (++count_ <= kShown) names_ += (count_ > 1 ? ", " : "") + name;
  }
  std::string line() const {
    if (count_ == 0) return {};
    return what_ + ' ' + names_ + (count_ > kShown ? " and " + std::to_string(count_ - kShown) + " more" : "") + '\n';
  }

 private:
  static constexpr int kShown = 8;
  std::string what_, names_;
  int count_ = 0;
};

void widen(View to, CView from) {  // exact
  visit_dtype<double, float>(to.dtype, [&]<class To>() {
    visit_dtype<float, bf16>(from.dtype, [&]<class From>() {
      for (int64_t row = 0; row < to.rows(); ++row)
        for (int64_t i = 0; i < to.width(); ++i)
          to.as<To>()[row][i] = static_cast<To>(static_cast<float>(from.as<From>()[row][i]));
    });
  });
}

void copy(View to, CView from) {
  const size_t bytes = static_cast<size_t>(to.width()) * size_of(to.dtype);
  const size_t stride = static_cast<size_t>(to.row_stride) * size_of(to.dtype);
  if (to.dtype != from.dtype) return widen(to, from);
  for (size_t row = 0; row < static_cast<size_t>(to.rows()); ++row)
    std::copy_n(from.data + row * bytes, bytes, to.data + row * stride);
}

bool is_wider(DType a, DType b) {
  const auto rank = [](DType t) { return t == DType::f64 ? 3 : t == DType::f32 ? 2 : t == DType::bf16 ? 1 : 0; };
  return rank(a) > rank(b) && rank(b) > 0;
}

}  // namespace

void Checkpoint::load(std::span<const StateTensor> to) const {
  Problem missing("not in the checkpoint:"), extra("not in the model:"), other("different:"),
      moments("without optimizer state:");
  const auto compare = [&](const std::string& name, CView want, CView have) {
    if (want.shape == have.shape && want.dtype == have.dtype) return;
    std::ostringstream text;
    text << name << " is " << have.dtype << ' ' << have.shape << ", the model has " << want.dtype << ' ' << want.shape;
    other.add(text.str());
  };
  std::map<std::string_view, const Tensor*> here;
  for (const Tensor& tensor : tensors_) here[tensor.name] = &tensor;
  std::vector<std::pair<View, CView>> copies;
  for (const StateTensor& want : to) {
    const auto found = here.extract(want.name);
    if (found.empty()) {
      missing.add(want.name);
      continue;
    }
    const Tensor& have = *found.mapped();
    CView value = have.value;
    if (want.m.empty() && is_wider(want.value.dtype, value.dtype)) value.dtype = want.value.dtype;  // will be widened
    compare(want.name, want.value, value);
    copies.push_back({want.value, have.value});
    if (want.m.empty()) continue;
    if (have.m.empty() || have.v.empty()) {
      moments.add(want.name);
      continue;
    }
    compare(want.name + " (first moment)", want.m, have.m);
    compare(want.name + " (second moment)", want.v, have.v);
    copies.push_back({want.m, have.m});
    copies.push_back({want.v, have.v});
  }
  for (const auto& [name, tensor] : here) extra.add(std::string(name));
  const std::string problems = missing.line() + extra.line() + other.line() + moments.line();
  if (!problems.empty())
    throw UserError(Exit::data, folder_.string() + " does not fit this model", problems.substr(0, problems.size() - 1));
  for (const auto& [target, source] : copies) copy(target, source);
}

}  // namespace rw
