#include "data/sampler/batch.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/check.hpp"
#include "core/base/ignore.hpp"

namespace rw {

namespace {

void check(const BatchView& batch) {
  const auto size = static_cast<size_t>(batch.rows * batch.context);
  RW_CHECK(batch.rows > 0 && batch.context > 0, batch.rows, batch.context);
  RW_CHECK(batch.tokens.size() == size && batch.targets.size() == size && batch.first_key.size() == size, size);
}

// Row `row` of each tensor.
struct Row {
  std::span<int32_t> tokens, targets, first_key;
  Row(const BatchView& batch, int64_t row) {
    const auto context = static_cast<size_t>(batch.context), at = static_cast<size_t>(row) * context;
    tokens = batch.tokens.subspan(at, context);
    targets = batch.targets.subspan(at, context);
    first_key = batch.first_key.subspan(at, context);
  }
};

// The ids at begin, begin + 1, ... of the ring.
void read_ring(const TokenData& data, uint64_t begin, std::span<int32_t> to) {
  while (!to.empty()) {
    const uint64_t n = std::min<uint64_t>(to.size(), data.size() - begin);
    data.read(begin, to.first(n));
    to = to.subspan(n);
    begin = 0;
  }
}

void fill_first_key(const TokenData& data, uint64_t begin, bool doc_mask, std::span<int32_t> first_key) {
  std::ranges::fill(first_key, 0);
  if (!doc_mask) return;
  const auto starts = data.document_starts();
  for (size_t done = 0; done < first_key.size(); begin = 0) {  // one turn for each time round the ring
    const size_t end = std::min<uint64_t>(first_key.size(), done + (data.size() - begin));
    for (auto start = std::ranges::lower_bound(starts, begin); start != starts.end(); ++start) {
      const uint64_t at = done + (*start - begin);
      if (at >= end) break;
      std::ranges::fill(first_key.subspan(at), static_cast<int32_t>(at));
    }
    done = end;
  }
}

// Targets stand at begin, begin + 1, ... of the ring. Those of a prompt become kIgnore.
void mask_prompts(const TokenData& data, uint64_t begin, std::span<int32_t> targets) {
  const auto prompts = data.prompt_tokens();
  if (prompts.empty() || targets.empty()) return;
  const auto starts = data.document_starts();
  begin %= data.size();
  for (size_t done = 0; done < targets.size(); begin = 0) {  // one turn for each time round the ring
    const size_t size = std::min<uint64_t>(targets.size() - done, data.size() - begin);
    for (auto start = std::ranges::upper_bound(starts, begin) - 1; start != starts.end(); ++start) {
      if (*start >= begin + size) break;
      const uint64_t first = std::max(*start + 1, begin),
                     last = std::min(*start + 1 + prompts[static_cast<size_t>(start - starts.begin())], begin + size);
      if (first < last) std::ranges::fill(targets.subspan(done + (first - begin), last - first), kIgnore);
    }
    done += size;
  }
}

}  // namespace

void fill_batch(const DataSet& data, const Sampler& sampler, uint64_t first_sample, bool doc_mask,
                const BatchView& batch) {
  check(batch);
  RW_CHECK(batch.context == sampler.context(), batch.context, sampler.context());
  std::vector<int32_t> window(static_cast<size_t>(batch.context) + 1);
  for (int64_t b = 0; b < batch.rows; ++b) {
    const Row row(batch, b);
    const Sample sample = sampler(first_sample + static_cast<uint64_t>(b));
    const TokenData& corpus = data.corpora()[sample.corpus].data;
    read_ring(corpus, sample.begin, window);
    std::ranges::copy(std::span(window).first(row.tokens.size()), row.tokens.begin());
    std::ranges::copy(std::span(window).subspan(1), row.targets.begin());
    mask_prompts(corpus, sample.begin + 1, row.targets);
    fill_first_key(corpus, sample.begin, doc_mask, row.first_key);
  }
}

EvaluationWindows::EvaluationWindows(const TokenData& data, int64_t context, int64_t stride, uint64_t limit)
    : data_(&data), context_(context), stride_(stride) {
  RW_CHECK(stride > 0 && stride <= context, stride, context);
  const uint64_t targets = data.size() - 1;
  const auto t = static_cast<uint64_t>(context), s = static_cast<uint64_t>(stride);
  if (targets > 0) all_ = 1 + (targets > t ? (targets - t + s - 1) / s : 0);
  // Where prompts are no targets, so many more windows are needed.
  const double tokens_each = static_cast<double>(targets) / static_cast<double>(std::max<uint64_t>(data.targets(), 1));
  const auto tokens = static_cast<uint64_t>(std::ceil(static_cast<double>(limit) * tokens_each));
  count_ = limit == 0 ? all_ : std::min(all_, (tokens + s - 1) / s);
}

void EvaluationWindows::fill(uint64_t first, bool doc_mask, const BatchView& batch) const {
  check(batch);
  RW_CHECK(batch.context == context_, batch.context, context_);
  for (int64_t b = 0; b < batch.rows; ++b) {
    const Row row(batch, b);
    std::ranges::fill(row.tokens, 0);
    std::ranges::fill(row.targets, kIgnore);
    std::ranges::fill(row.first_key, 0);
    const uint64_t i = first + static_cast<uint64_t>(b);
    if (i >= count_) continue;
    const uint64_t window = i * all_ / count_, begin = window * static_cast<uint64_t>(stride_);
    const uint64_t n = std::min(static_cast<uint64_t>(context_), data_->size() - 1 - begin);  // targets in reach
    const uint64_t seen = window == 0 ? 0 : static_cast<uint64_t>(context_ - stride_);  // targets of earlier windows
    data_->read(begin, row.tokens.first(n));
    data_->read(begin + 1 + seen, row.targets.subspan(seen, n - seen));
    mask_prompts(*data_, begin + 1 + seen, row.targets.subspan(seen, n - seen));
    fill_first_key(*data_, begin, doc_mask, row.first_key.first(n));
    if (n > 0) std::ranges::fill(row.first_key.subspan(n), row.first_key[n - 1]);
  }
}

}  // namespace rw
