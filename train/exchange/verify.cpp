#include "train/exchange/verify.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/check.hpp"
#include "core/base/philox.hpp"
#include "train/loop/machine.hpp"
#include "train/loop/workspace.hpp"

namespace rw {
namespace {

std::vector<double> logits_of(const Model& model, CView token, CView position) {
  const int64_t tokens = token.shape.elements();
  const DType dtype = model.embedding.value.dtype;
  const Batch batch{.token = token, .target = {}, .position = position, .first_key = {}};
  const auto compute = [&](Ctx& ctx) {
    const View out = ctx.saved.take({tokens, model.config.vocab}, dtype, "logits");
    model.logits(ctx, out, batch);
    return out;
  };
  const std::function<void(Ctx&)> work[] = {compute};
  const ArenaSizes sizes = measure({}, work);
  check_memory(sizes.saved + sizes.scratch, "comparing logits needs as much");
  Workspace workspace({}, sizes);
  const CView out = compute(workspace.ctx);
  std::vector<double> values;
  visit_dtype<double, float>(dtype, [&]<class T>() {
    const T* const data = out.as<T>().data;
    values.assign(data, data + out.shape.elements());
  });
  return values;
}

}  // namespace

LogitDifference compare_logits(const Model& a, const Model& b) {
  RW_CHECK(a.config.vocab == b.config.vocab && a.config.context == b.config.context, a.config.vocab, b.config.vocab);
  const int64_t tokens = std::min(kVerifiedTokens, a.config.context);
  Buffer token({}, {1, tokens}, DType::i32), position({}, {1, tokens}, DType::i32);
  const View ids = token, at = position;
  for (int64_t i = 0; i < tokens; ++i) {
    const auto draw = philox({static_cast<uint32_t>(i), 0, 0, 0}, philox_key(1))[0];
    ids.as<int32_t>().data[i] = static_cast<int32_t>(draw % static_cast<uint64_t>(a.config.vocab));
    at.as<int32_t>().data[i] = static_cast<int32_t>(i);
  }
  const auto first = logits_of(a, ids, at), second = logits_of(b, ids, at);
  LogitDifference out{.tokens = tokens};
  for (size_t i = 0; i < first.size(); ++i) {
    out.scale = std::max(out.scale, std::abs(first[i]));
    const double difference = std::abs(first[i] - second[i]);
    if (!(difference <= out.largest)) out.largest = difference;  // also NaN
  }
  return out;
}

std::string verdict(const LogitDifference& d, double most) {
  RW_CHECK(d.largest <= most * d.scale, d.largest, d.scale, most);
  char text[128];
  std::snprintf(text, sizeof text, "compared the logits of %lld tokens: largest difference %.3g of %.3g",
                static_cast<long long>(d.tokens), d.largest, d.scale);
  return text;
}

}  // namespace rw
