#include "layers/attention/kv_cache.hpp"

namespace rw {
namespace {

void copy_rows(const Ctx& ctx, View to, CView from) {
  if (ctx.dry) return;
  visit_dtype<double, float>(from.dtype, [&]<class T>() {
    for (int64_t r = 0; r < from.rows(); ++r) std::copy_n(from.as<T>()[r], from.width(), to.as<T>()[r]);
  });
}

}  // namespace

void KvCache::make_room(const Ctx& ctx) {
  if (kept() == length) return;
  for (const View& x : {k, v, k_far})
    if (!x.empty()) copy_rows(ctx, rows(x, sinks, window - 1), rows(x, sinks + 1, window - 1));
  length = kept();
}

KvCache::Joined::Joined(Ctx& ctx, const KvCache& cache, View kept, CView fresh) : kept_(kept) {
  const int64_t total = cache.length + fresh.rows();
  const bool fits = total <= cache.capacity();
  RW_CHECK(fits || cache.window > 0, total, cache.capacity());
  all_ = fits ? rows(kept, 0, total) : ctx.scratch.take({total, kept.width()}, kept.dtype, "attention.joined");
  if (!fits) copy_rows(ctx, rows(all_, 0, cache.length), rows(kept, 0, cache.length));
  copy_rows(ctx, rows(all_, cache.length, fresh.rows()), fresh);
}

void KvCache::Joined::keep(const Ctx& ctx, const KvCache& cache) const {
  if (all_.data == kept_.data) return;
  copy_rows(ctx, rows(kept_, 0, cache.sinks), rows(all_, 0, cache.sinks));
  copy_rows(ctx, rows(kept_, cache.sinks, cache.window), rows(all_, all_.rows() - cache.window, cache.window));
}

}  // namespace rw
