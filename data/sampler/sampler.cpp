#include "data/sampler/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/check.hpp"
#include "core/base/philox.hpp"
#include "core/base/user_error.hpp"
#include "data/sampler/permutation.hpp"

namespace rw {

namespace {

// Of kMixtureBlock, by largest remainder; the earlier corpus where remainders are equal.
std::vector<uint64_t> quotas(const std::vector<Corpus>& corpora) {
  std::vector<uint64_t> quota;
  std::vector<double> remainder;
  uint64_t given = 0;
  for (const Corpus& corpus : corpora) {
    const double exact = corpus.share * static_cast<double>(kMixtureBlock);
    quota.push_back(static_cast<uint64_t>(exact + 1e-9));
    remainder.push_back(exact - static_cast<double>(quota.back()));
    given += quota.back();
  }
  RW_CHECK(given <= kMixtureBlock && given + corpora.size() >= kMixtureBlock, given);
  std::vector<size_t> order(corpora.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t c) { return remainder[c]; });
  for (size_t i = 0; given < kMixtureBlock; ++i, ++given) ++quota[order[i % order.size()]];
  return quota;
}

}  // namespace

Sampler::Sampler(const DataSet& data, int64_t context, uint64_t seed) : data_(&data), context_(context), seed_(seed) {
  RW_CHECK(context > 0, context);
  const auto& corpora = data.corpora();
  const auto quota = quotas(corpora);
  uint64_t end = 0;
  for (size_t c = 0; c < corpora.size(); ++c) {
    const TokenData& tokens = corpora[c].data;
    if (tokens.size() <= static_cast<uint64_t>(context))
      throw UserError(Exit::data,
                      tokens.name() + " has only " + std::to_string(tokens.size()) +
                          " tokens, too few for a context of " + std::to_string(context),
                      "a sample is one token longer than the context\n" +
                          (tokens.size() > 1 ? "take more text, or:  --context " + std::to_string(tokens.size() - 1)
                                             : "take more text"));
    if (quota[c] == 0)
      throw UserError(Exit::data, "the share of " + tokens.name() + " is too small",
                      "it has to be 1/" + std::to_string(kMixtureBlock) + " of the samples at least");
    block_end_.push_back(end += quota[c]);
  }
}

uint64_t Sampler::windows(size_t corpus) const {
  return data_->corpora()[corpus].data.size() / static_cast<uint64_t>(context_);
}

Sample Sampler::operator()(uint64_t index) const {
  Sample sample;
  if (block_end_.size() > 1) {
    const uint64_t block = index / kMixtureBlock;
    const uint64_t place = Permutation(kMixtureBlock, seed_, name_word("mixture"), block)(index % kMixtureBlock);
    sample.corpus = static_cast<size_t>(std::ranges::upper_bound(block_end_, place) - block_end_.begin());
    const uint64_t begin = sample.corpus == 0 ? 0 : block_end_[sample.corpus - 1];
    index = block * (block_end_[sample.corpus] - begin) + place - begin;  // in the corpus
  }
  const uint64_t n = data_->corpora()[sample.corpus].data.size();
  const auto site = name_word("window") + 16 * static_cast<uint32_t>(sample.corpus);
  sample.epoch = index / windows(sample.corpus);
  const uint64_t window =
      Permutation(windows(sample.corpus), seed_, site, sample.epoch)(index % windows(sample.corpus));
  const PhiloxCounter counter = {static_cast<uint32_t>(sample.epoch), static_cast<uint32_t>(sample.epoch >> 32), 0,
                                 name_word("offset") + static_cast<uint32_t>(sample.corpus)};
  const PhiloxCounter random = philox(counter, philox_key(seed_));
  // 53 random bits are enough of a choice; where n is larger, offsets are multiples of something small.
  const auto offset =
      std::min(n - 1, static_cast<uint64_t>((uniform(random[0], random[1]) - 0x1p-53) * static_cast<double>(n)));
  sample.begin = (offset + window * static_cast<uint64_t>(context_)) % n;
  return sample;
}

double Sampler::epochs(size_t corpus, uint64_t samples) const {
  const uint64_t quota = block_end_[corpus] - (corpus == 0 ? 0 : block_end_[corpus - 1]);
  return static_cast<double>(samples) * static_cast<double>(quota) / kMixtureBlock /
         static_cast<double>(windows(corpus));
}

}  // namespace rw
