#include "train/loop/position_loss.hpp"

#include <algorithm>
#include <bit>

namespace rw {
namespace {

size_t bucket_of(int64_t position) { return static_cast<size_t>(std::bit_width(static_cast<uint64_t>(position))); }

}  // namespace

PositionLoss::PositionLoss(int64_t length) : length_(length), loss_(bucket_of(length - 1) + 1), share_(loss_.size()) {}

void PositionLoss::add(const Evaluation& evaluation, double share) {
  std::vector<double> nll(loss_.size());
  std::vector<uint64_t> targets(loss_.size());
  for (size_t i = 0; i < evaluation.nll_by_position.size(); ++i) {
    const size_t b = bucket_of(static_cast<int64_t>(i));
    nll.at(b) += evaluation.nll_by_position[i];
    targets.at(b) += evaluation.targets_by_position[i];
  }
  for (size_t b = 0; b < nll.size(); ++b) {
    if (targets[b] == 0) continue;
    loss_[b] += share * nll[b] / static_cast<double>(targets[b]);
    share_[b] += share;
  }
}

std::vector<PositionLoss::Bucket> PositionLoss::buckets() const {
  std::vector<Bucket> out;
  for (size_t b = 0; b < loss_.size(); ++b) {
    if (share_[b] == 0) continue;
    const int64_t first = b == 0 ? 0 : int64_t{1} << (b - 1);
    const int64_t last = std::min(length_ - 1, b == 0 ? 0 : (int64_t{1} << b) - 1);
    std::string name = std::to_string(first);
    if (last > first) name.append("-").append(std::to_string(last));
    out.push_back({std::move(name), loss_[b] / share_[b]});
  }
  return out;
}

}  // namespace rw
