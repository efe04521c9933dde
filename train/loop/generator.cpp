#include "train/loop/generator.hpp"

#include <algorithm>
#include <numeric>

#include "core/device/copy.hpp"

namespace rw {
namespace {

// Of tokens that come to a cache of raw keys with a window: positions for more were not prepared (Model).
int64_t most_at_once(const KvCache& cache, int64_t context) { return std::min(cache.window + 1, context); }

}  // namespace

int32_t draw_token(std::span<const double> logits, const SamplingOptions& options, uint64_t index) {
  RW_CHECK(!logits.empty() && options.temperature >= 0 && options.top_k >= 0 && options.top_p > 0);
  const auto likeliest = static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
  if (options.temperature == 0 || options.top_k == 1) return likeliest;
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater{}, [&](int32_t id) { return logits[static_cast<size_t>(id)]; });
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<size_t>(options.top_k)));
  std::vector<double> weight;
  const double most = logits[static_cast<size_t>(likeliest)];
  for (int32_t id : order) weight.push_back(std::exp((logits[static_cast<size_t>(id)] - most) / options.temperature));
  double total = std::accumulate(weight.begin(), weight.end(), 0.0), kept = 0;
  size_t count = 0;
  while (count < weight.size() && (count == 0 || kept < options.top_p * total)) kept += weight[count++];
  const PhiloxCounter words =
      philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), name_word("generate"), 0},
             philox_key(options.seed));
  double left = uniform(words[0], words[1]) * kept;
  for (size_t i = 0; i < count; ++i)
    if ((left -= weight[i]) <= 0) return order[i];
  return order[count - 1];
}

void Generator::dry_run(Ctx& ctx, const Model& model, int64_t context) {
  Arena nowhere = Arena::measuring("generator", ctx.device);
  const auto take = [&](Shape shape, DType dtype) { return nowhere.take(shape, dtype, "generator"); };
  const DType dtype = model.embedding.value.dtype;
  std::vector<KvCache> caches;
  for (const Block& block : model.blocks)
    caches.push_back(model.add_cache(block, context, model.endless(), [&](Shape s) { return take(s, dtype); }));
  int64_t count = context;
  if (model.endless()) {  // the largest is what comes to full caches
    count = most_at_once(caches.front(), context);
    for (KvCache& cache : caches) cache.length = cache.capacity();
  }
  const View ids = take({1, count}, DType::i32), position = take({1, count}, DType::i32);
  model.decode(ctx, take({1, model.config.vocab}, accumulator(dtype)), {ids, {}, position, {}}, caches);
}

Generator::Generator(Ctx& ctx, const Model& model, int64_t context) : ctx_(ctx), model_(model), context_(context) {
  const DType dtype = model.embedding.value.dtype;
  token_ = Mirror(ctx.device, {1, context}, DType::i32), position_ = Mirror(ctx.device, {1, context}, DType::i32);
  logits_ = Mirror(ctx.device, {1, model.config.vocab}, accumulator(dtype));
  for (const Block& block : model.blocks)
    caches_.push_back(model.add_cache(block, context, model.endless(), [&](Shape shape) {
      return memory_.emplace_back(ctx.device, shape, dtype).view();
    }));
}

std::span<const double> Generator::append(std::span<const int32_t> ids) {
  RW_CHECK(!ids.empty());
  if (model_.endless()) return append_without_end(ids);
  const auto capacity = static_cast<size_t>(context_);
  std::vector<int32_t> all;
  if (ids_.size() + ids.size() > capacity) {
    all.swap(ids_);
    all.insert(all.end(), ids.begin(), ids.end());
    ids = std::span(all).last(std::max<size_t>(capacity / 2, 1));
    length_ = 0;
    for (KvCache& cache : caches_) cache.length = 0;
  }
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  feed(ids);
  return result();
}

std::span<const double> Generator::append_without_end(std::span<const int32_t> ids) {
  const auto most = static_cast<size_t>(most_at_once(caches_.front(), context_));
  for (; ids.size() > most; ids = ids.subspan(most)) {
    feed(ids.first(most));
    synchronize(ctx_);  // before the host's ids are others
  }
  feed(ids);
  return result();
}

void Generator::feed(std::span<const int32_t> ids) {
  const auto count = static_cast<int64_t>(ids.size());
  RW_CHECK(length_ + count < int64_t{1} << 31, length_, count);  // positions are i32
  const auto prefix = [&](View v) { return range_of(v, {0, count, false}, {1, count}); };
  int32_t* const position = position_.host().as<int32_t>().data;
  std::ranges::copy(ids, token_.host().as<int32_t>().data);
  std::iota(position, position + count, static_cast<int32_t>(length_));
  token_.upload(ctx_), position_.upload(ctx_);
  model_.decode(ctx_, logits_.device(), {prefix(token_.device()), {}, prefix(position_.device()), {}}, caches_);
  length_ += count;
}

std::span<const double> Generator::result() {
  result_.resize(static_cast<size_t>(model_.config.vocab));
  logits_.download(ctx_);
  synchronize(ctx_);
  visit_dtype<double, float>(logits_.host().dtype, [&]<class T>() {
    std::copy_n(logits_.host().as<T>().data, result_.size(), result_.begin());
  });
  return result_;
}

}  // namespace rw
