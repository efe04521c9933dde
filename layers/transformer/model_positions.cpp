#include <algorithm>
#include <numeric>

#include "core/base/user_error.hpp"
#include "core/device/copy.hpp"
#include "layers/rotary/frequencies.hpp"
#include "layers/rotary/log_n_factor.hpp"
#include "layers/transformer/model.hpp"

namespace rw {
namespace {

// The same tensor on a device.
Buffer moved(Device device, Buffer from) {
  if (device.kind == Device::cpu) return from;
  Buffer out(device, from.view().shape, from.view().dtype);
  Arena nothing("nothing", {}, 0);
  const OwnStream stream(device);
  const Ctx ctx{.device = device, .saved = nothing, .scratch = nothing, .stream = stream.get()};
  copy(ctx, out, from);
  synchronize(ctx);
  return out;
}

Buffer filled(Device device, DType dtype, Shape shape, const std::vector<double>& values) {
  Buffer out({}, shape, dtype);
  visit_dtype<double, float, bf16, int32_t>(dtype, [&]<class T>() {
    std::ranges::transform(values, out.view().as<T>().data, [](double v) {
      if constexpr (std::is_same_v<T, bf16>)
        return bf16(static_cast<float>(v));
      else
        return static_cast<T>(v);
    });
  });
  return moved(device, std::move(out));
}

}  // namespace

void count_positions(View position, CView first_key) {
  const auto at = position.as<int32_t>();
  const auto start = first_key.as<int32_t>();
  for (int64_t r = 0; r < position.rows(); ++r)
    for (int64_t t = 0; t < position.width(); ++t)
      at[r][t] = static_cast<int32_t>(t) - (first_key.empty() ? 0 : start[r][t]);
}

void Model::prepare_positions(Device device, DType dtype, int64_t positions) {
  if (prepared_ == positions && index_.view().device == device && ones_.view().dtype == dtype) return;
  prepared_ = positions;
  positions_ = resolve_positions(config.positions, config.trained(), config.layers);
  if (const std::string problem = position_problem(positions_, config.trained(), config.layers); !problem.empty())
    throw UserError(Exit::usage, "the positions are refused: " + problem);

  const int64_t in_tables = positions + (endless() ? positions_.window : 0);
  const auto each = [&](const auto& f) {
    std::vector<double> out;
    for (int64_t p = 0; p < in_tables; ++p) out.push_back(f(p));
    return out;
  };
  const auto number = [](int64_t p) { return static_cast<double>(p); };
  ones_ = filled(device, dtype, {config.head_width}, std::vector<double>(static_cast<size_t>(config.head_width), 1));
  index_ = filled(device, DType::i32, {1, in_tables}, each(number));
  if (!config.rotary()) return;

  frequencies_ = rope_frequencies(config.rope, config.head_width, config.trained(), positions);
  const auto table = [&](const std::vector<double>& at) {
    const Shape shape{in_tables, static_cast<int64_t>(frequencies_.theta.size())};
    Buffer cos({}, shape, accumulator(dtype)), sin({}, shape, accumulator(dtype));
    rope_table(cos, sin, frequencies_, at);
    return Table{moved(device, std::move(cos)), moved(device, std::move(sin))};
  };
  near_ = table(each(number)), far_query_ = {}, far_key_ = {}, far_key_is_near_ = false;
  // Only inverse Leaky and HWFA2 differ between the phases, and of those each has a far branch in one only.
  for (const Phase phase : {Phase::training, Phase::inference}) {
    if (!has_far(phase)) continue;
    const auto keys = each([&](int64_t p) { return far_key(positions_, phase, p); });
    far_query_ = table(each([&](int64_t p) { return far_query(positions_, phase, p); }));
    const bool raw = frequencies_.magnitude == 1 && std::ranges::all_of(keys, [](double p) { return p == 0; });
    far_key_is_near_ = keys == each(number);
    if (!raw && !far_key_is_near_) far_key_ = table(keys);  // else far keys are the raw ones
  }
}

bool Model::has_far(Phase phase) const {
  for (int64_t l = 0; l < config.layers; ++l)
    if (layer_positions(positions_, l, config.layers, phase).near >= 0) return true;
  return false;
}

void Model::change_positions(const ModelConfig& c) {
  config.positions = c.positions, config.rope = c.rope, config.trained_context = c.trained_context;
  prepared_ = 0;
}

Sequence Model::sequence(Ctx& ctx, const Batch& batch) const {
  Sequence s;
  s.near = near_.view(), s.far_query = far_query_.view(), s.far_key = (far_key_is_near_ ? near_ : far_key_).view();
  s.position = batch.position, s.first_key = batch.first_key, s.ones = ones_.view(), s.key_position = index_.view();
  if (positions_.log_n != LogN::off) {
    const View factor = ctx.scratch.take(batch.token.shape, accumulator(ones_.view().dtype), "model.factor");
    log_n_factor(ctx, factor, batch.position, least_in_log_n(positions_, config.trained()), config.trained());
    s.factor = factor;
  }
  if (!batch.turned_by.empty()) turn_by(ctx, s, batch.turned_by);
  return s;
}

// A row of the near table for each token.
void Model::turn_by(Ctx& ctx, Sequence& s, CView real_positions) const {
  const int64_t tokens = s.position.shape.elements();
  RW_CHECK(config.rotary() && !has_far(Phase::training), real_positions);
  RW_CHECK(real_positions.dtype == DType::f64 && real_positions.shape == s.position.shape, real_positions, s.position);
  RW_CHECK(real_positions.row_stride == real_positions.width(), real_positions);
  const Shape shape{tokens, static_cast<int64_t>(frequencies_.theta.size())};
  const DType dtype = accumulator(ones_.view().dtype);
  const View cos = ctx.scratch.take(shape, dtype, "model.cos"), sin = ctx.scratch.take(shape, dtype, "model.sin"),
             row = ctx.scratch.take(s.position.shape, DType::i32, "model.row");
  if (!ctx.dry) {
    Buffer host_cos({}, shape, cos.dtype), host_sin({}, shape, sin.dtype), host_row({}, row.shape, row.dtype);
    rope_table(host_cos, host_sin, frequencies_, {real_positions.as<double>().data, static_cast<size_t>(tokens)});
    std::iota(host_row.view().as<int32_t>().data, host_row.view().as<int32_t>().data + tokens, 0);
    copy(ctx, cos, host_cos), copy(ctx, sin, host_sin), copy(ctx, row, host_row);
    synchronize(ctx);  // before the host's tables go
  }
  s.near = {cos, sin}, s.position = row;
}

Sequence Model::of_layer(Sequence s, int64_t layer, Phase phase) const {
  s.layer = layer_positions(positions_, layer, config.layers, phase);
  return s;
}

bool Model::endless() const {
  return positions_.kind == PositionKind::streaming &&
         positions_.window <= prepared_ - std::max<int64_t>(positions_.sinks, 0);
}

}  // namespace rw
