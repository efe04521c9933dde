#include "core/device/vocabulary.cuh"
#include "core/tensor/indices.hpp"
#include "layers/rotary/rope.hpp"

namespace rw {
namespace {

// One team for each row, whose threads take N pairs at a time. The two vectors of N pairs are a and b of layout half;
// interleaved, they are the pairs one after the other.
template <class T, int N, bool half>
__global__ void rope_kernel(Rows<T> y, Rows<const T> x, Rows<const float> cos, Rows<const float> sin, Indices position,
                            int64_t rows, int64_t positions, int heads, int width, int pairs, bool inverse, bool add) {
  const int64_t r = row_of_team();
  if (r >= rows) return;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int64_t p = pairs > 0 ? position[r] : 0;
  if (p < 0 || p >= positions) {
    Vec<T, N> out;
    for (int i = 0; i < N; ++i) out.set(i, kNaN);
    for (int c = thread * N; c < heads * width; c += threads * N) store(y[r] + c, out);
    return;
  }
  const auto put = [=](int c, const auto& v) {  // N elements
    Vec<T, N> out;
    if (add) out = load<N>(y[r] + c);
    for (int i = 0; i < N; ++i) out.set(i, add ? out[i] + v[i] : v[i]);
    store(y[r] + c, out);
  };
  const int turned = pairs / N, kept = (width - 2 * pairs) / N;  // vectors of a head
  for (int item = thread; item < heads * turned; item += threads) {
    const int head = item / turned, c = item % turned * N;
    const int at = head * width + (half ? c : 2 * c), other = at + (half ? pairs : N);
    const auto u = load<N>(x[r] + at), v = load<N>(x[r] + other);
    const auto cosine = load<N>(cos[p] + c), sine = load<N>(sin[p] + c);
    float in[2 * N], out[2 * N];
    for (int i = 0; i < N; ++i) in[i] = u[i], in[N + i] = v[i];
    for (int i = 0; i < N; ++i) {
      const int ia = half ? i : 2 * i, ib = half ? N + i : 2 * i + 1;
      const float s = inverse ? -sine[i] : sine[i];
      out[ia] = in[ia] * cosine[i] - in[ib] * s;
      out[ib] = in[ia] * s + in[ib] * cosine[i];
    }
    put(at, out), put(other, out + N);
  }
  if (y.data == x.data) return;
  for (int item = thread; item < heads * kept; item += threads) {
    const int c = item / kept * width + 2 * pairs + item % kept * N;
    put(c, load<N>(x[r] + c));
  }
}

}  // namespace

void cuda::rope(Ctx& ctx, View y, CView x, CView cos, CView sin, CView position, const RopeOpt& opt) {
  const int64_t width = opt.head_width, heads = x.width() / width, pairs = cos.empty() ? 0 : cos.width();
  const auto with = [&]<class T, int N, bool half>() {
    const dim3 block = row_teams(heads * std::max(pairs, width - 2 * pairs), N);
    launch<rope_kernel<T, N, half>>(ctx, grid_of_teams(x.rows(), block), block, 0, y.as<T>(), x.as<T>(),
                                    cos.as<float>(), sin.as<float>(), Indices(position), x.rows(),
                                    pairs > 0 ? cos.rows() : 1, static_cast<int>(heads), static_cast<int>(width),
                                    static_cast<int>(pairs), opt.inverse, opt.add);
  };
  const auto start = [&]<class T, int N>() {
    if (opt.layout == RopeLayout::half)
      with.template operator()<T, N, true>();
    else
      with.template operator()<T, N, false>();
  };
  visit_vector(start, columns(y, 0, width), columns(x, 0, width), columns(x, 0, pairs), cos, sin);
}

}  // namespace rw
