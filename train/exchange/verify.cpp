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

// Beyond the trained length too, if it is cheap.
std::vector<int64_t> lengths_of(const ModelConfig& c) {
  const int64_t trained = c.trained(), beyond = 2 * trained;
  std::vector<int64_t> out = {std::min(kVerifiedTokens, trained)};
  if (c.rotary() && beyond <= kCheapProducts / (parameter_count(c) + c.vocab * c.width)) out.push_back(beyond);
  return out;
}

void check_frequencies(const ModelConfig& a, const ModelConfig& b) {
  RW_CHECK(a.rotary() == b.rotary(), a.rotary(), b.rotary());
  if (!a.rotary()) return;
  const int64_t trained = a.trained();
  const auto same = [](double x, double y) { return std::abs(x - y) <= 1e-6 * std::abs(x); };
  for (const int64_t length : {int64_t{1}, trained, trained + 1, 16 * trained}) {
    const Frequencies x = rope_frequencies(a.rope, a.head_width, a.trained(), length),
                      y = rope_frequencies(b.rope, b.head_width, b.trained(), length);
    RW_CHECK(same(x.magnitude, y.magnitude) && x.theta.size() == y.theta.size(), x.magnitude, y.magnitude, length);
    for (size_t c = 0; c < x.theta.size(); ++c)
      RW_CHECK(same(x.theta[c], y.theta[c]), c, x.theta[c], y.theta[c], length);
  }
}

}  // namespace

LogitDifference compare_logits(Model& a, Model& b) {
  RW_CHECK(a.config.vocab == b.config.vocab, a.config.vocab, b.config.vocab);
  check_frequencies(a.config, b.config);
  LogitDifference out;
  for (const int64_t tokens : lengths_of(a.config)) {
    Buffer token({}, {1, tokens}, DType::i32), position({}, {1, tokens}, DType::i32);
    const View ids = token, at = position;
    for (int64_t i = 0; i < tokens; ++i) {
      const auto draw = philox({static_cast<uint32_t>(i), 0, 0, 0}, philox_key(1))[0];
      ids.as<int32_t>().data[i] = static_cast<int32_t>(draw % static_cast<uint64_t>(a.config.vocab));
      at.as<int32_t>().data[i] = static_cast<int32_t>(i);
    }
    for (Model* model : {&a, &b}) model->prepare_positions({}, model->embedding.value.dtype, tokens);
    const auto first = logits_of(a, ids, at), second = logits_of(b, ids, at);
    out.tokens = tokens;
    for (size_t i = 0; i < first.size(); ++i) {
      out.scale = std::max(out.scale, std::abs(first[i]));
      const double difference = std::abs(first[i] - second[i]);
      if (!(difference <= out.largest)) out.largest = difference;  // also NaN
    }
  }
  return out;
}

std::string verdict(const LogitDifference& d, double most) {
  RW_CHECK(d.largest <= most * d.scale, d.largest, d.scale, most);
  char text[128];
  std::snprintf(text, sizeof text, "compared the logits of up to %lld tokens: largest difference %.3g of %.3g",
                static_cast<long long>(d.tokens), d.largest, d.scale);
  return text;
}

}  // namespace rw
