#include "layers/attention/kv_cache.hpp"

#include "core/device/copy.hpp"

namespace rw {

void KvCache::make_room(Ctx& ctx) {
  if (kept() == length) return;
  const ArenaScope scope(ctx.scratch);
  for (const View& x : {k, v, k_far}) {
    if (x.empty()) continue;
    const View between = ctx.scratch.take({window - 1, x.width()}, x.dtype, "attention.moved");
    copy(ctx, between, rows(x, sinks + 1, window - 1));
    copy(ctx, rows(x, sinks, window - 1), between);
  }
  length = kept();
}

KvCache::Joined::Joined(Ctx& ctx, const KvCache& cache, View kept, CView fresh) : kept_(kept) {
  const int64_t total = cache.length + fresh.rows();
  const bool fits = total <= cache.capacity();
  RW_CHECK(fits || cache.window > 0, total, cache.capacity());
  all_ = fits ? rows(kept, 0, total) : ctx.scratch.take({total, kept.width()}, kept.dtype, "attention.joined");
  if (!fits) copy(ctx, rows(all_, 0, cache.length), rows(kept, 0, cache.length));
  copy(ctx, rows(all_, cache.length, fresh.rows()), fresh);
}

void KvCache::Joined::keep(const Ctx& ctx, const KvCache& cache) const {
  if (all_.data == kept_.data) return;
  copy(ctx, rows(kept_, 0, cache.sinks), rows(all_, 0, cache.sinks));
  copy(ctx, rows(kept_, cache.sinks, cache.window), rows(all_, all_.rows() - cache.window, cache.window));
}

}  // namespace rw
