// The cases of attention, their tensors, and a naive program to hold the twins against.
#pragma once
#include "layers/attention/attention.hpp"
#include "tests/support/tensor.hpp"

namespace rw::test {

struct AttentionCase {
  int64_t batch, groups, per_group, queries, prefix, d, e;
  bool documents = false;
  int64_t gap = 0;    // elements between rows
  double spread = 1;  // of the scores, about
  int64_t near = -1;  // of two branches; -1: one branch
  int64_t window = 0, sinks = 0;
  bool factor = false;
  unsigned document = 7;  // mean length
  int unaligned = -1;     // a tensor whose rows alone do not begin at multiples of 16 bytes

  int64_t keys() const { return queries + prefix; }
  int64_t heads() const { return groups * per_group; }
};

inline std::ostream& operator<<(std::ostream& out, const AttentionCase& c) {
  return out << 'B' << c.batch << "_G" << c.groups << "_H" << c.heads() << "_Tq" << c.queries << "_Tk" << c.keys()
             << "_d" << c.d << "_e" << c.e << (c.documents ? "_documents" + std::to_string(c.document) : "") << "_gap"
             << c.gap << (c.near < 0 ? "" : "_near" + std::to_string(c.near)) << "_window" << c.window << '+' << c.sinks
             << (c.factor ? "_factor" : "");
}

// first_key of documents of random lengths: a new one starts with a chance of one in `mean`.
inline std::vector<double> random_documents(int64_t batch, int64_t keys, unsigned seed, unsigned mean) {
  std::mt19937 generator(seed);
  std::vector<double> first_key;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t j = 0; j < keys; ++j)
      first_key.push_back(j == 0 || generator() % mean == 0 ? static_cast<double>(j) : first_key.back());
  return first_key;
}

struct AttentionTensors {
  AttentionTensors(const AttentionCase& c_, Where t)
      : c(c_),
        q({c.batch, c.queries, c.heads() * c.d}, t, gap(0, t)),
        k({c.batch, c.keys(), c.groups * c.d}, t, gap(1, t)),
        v({c.batch, c.keys(), c.groups * c.e}, t, gap(2, t)),
        do_({c.batch, c.queries, c.heads() * c.e}, t, gap(3, t)),
        first_key({c.batch, c.keys()}, {DType::i32, t.device}),
        factor({c.batch, c.queries}, t.in_accumulator()),
        q_far(q.view().shape, t, gap(4, t)),
        k_far(k.view().shape, t, gap(5, t)),
        o(do_.view().shape, t, gap(6, t)),
        lse({c.batch, c.queries, c.heads()}, t.in_accumulator(), c.gap),
        dq(q.view().shape, t, gap(7, t)),
        dk(k.view().shape, t, gap(8, t)),
        dv(v.view().shape, t, gap(9, t)),
        dq_far(q.view().shape, t, gap(10, t)),
        dk_far(k.view().shape, t, gap(11, t)) {
    unsigned seed = 0;
    for (Tensor* input : {&q, &k, &v, &do_, &q_far, &k_far}) input->fill(normal(input->size(), ++seed));
    std::vector<double> factors = normal(factor.size(), ++seed);
    for (double& x : factors) x = 1 + 0.3 * x;
    factor.fill(factors);
    first_key.fill(random_documents(c.batch, c.keys(), 5, c.document));
  }
  AttentionOpt opt() const {
    return {.head_width = c.d,
            .scale = c.spread / std::sqrt(static_cast<double>(c.d)),
            .first_key = c.documents ? CView(first_key) : CView{},
            .factor = c.factor ? CView(factor) : CView{},
            .q_far = far() ? CView(q_far) : CView{},
            .k_far = far() ? CView(k_far) : CView{},
            .near = std::max<int64_t>(c.near, 0),
            .window = c.window,
            .sinks = c.sinks};
  }
  bool far() const { return c.near >= 0; }
  int64_t gap(int tensor, Where t) const {
    return tensor == c.unaligned ? 8 / static_cast<int64_t>(size_of(t.dtype)) : c.gap;
  }
  View of_far(Tensor& gradient) const { return far() ? gradient.view() : View{}; }

  AttentionCase c;
  Tensor q, k, v, do_, first_key, factor, q_far, k_far;  // inputs
  Tensor o, lse, dq, dk, dv, dq_far, dk_far;             // outputs
};

inline constexpr std::array kAttentionInputs = {
    &AttentionTensors::q,         &AttentionTensors::k,      &AttentionTensors::v,     &AttentionTensors::do_,
    &AttentionTensors::first_key, &AttentionTensors::factor, &AttentionTensors::q_far, &AttentionTensors::k_far};
inline constexpr std::array kAttentionOutputs = {
    &AttentionTensors::o,  &AttentionTensors::lse,    &AttentionTensors::dq,    &AttentionTensors::dk,
    &AttentionTensors::dv, &AttentionTensors::dq_far, &AttentionTensors::dk_far};

// The formulas over whole matrices [Tq, Tk], one head after the other, in the precision of T.
template <class T>
class NaiveAttention {
 public:
  explicit NaiveAttention(const AttentionTensors& t_) : t(t_), c(t_.c), scale(static_cast<T>(t_.opt().scale)) {}

  void forward() {
    each_head([&](int64_t b, int64_t h, int64_t g) {
      scores(b, h, g);
      for (int64_t i = 0; i < c.queries; ++i) {
        T top = -std::numeric_limits<T>::infinity(), sum = 0;
        for (int64_t j = 0; j < c.keys(); ++j) top = std::max(top, at(i, j));
        for (int64_t j = 0; j < c.keys(); ++j) sum += std::exp(at(i, j) - top);
        t.lse.as<T>()[b * c.queries + i][h] = top + std::log(sum);
        T* out = t.o.as<T>()[b * c.queries + i] + h * c.e;
        std::fill_n(out, c.e, T(0));
        for (int64_t j = 0; j < c.keys(); ++j) {
          const T p = std::exp(at(i, j) - top) / sum;
          for (int64_t x = 0; x < c.e; ++x) out[x] += p * value(b, j, g)[x];
        }
      }
    });
  }

  void backward() {
    for (const Tensor* gradient : {&t.dq, &t.dk, &t.dv, &t.dq_far, &t.dk_far}) fill_zero(*gradient);
    each_head([&](int64_t b, int64_t h, int64_t g) {
      scores(b, h, g);
      for (int64_t i = 0; i < c.queries; ++i) {
        const int64_t row = b * c.queries + i;
        const T* d_out = t.do_.as<T>()[row] + h * c.e;
        T projection = 0;
        for (int64_t x = 0; x < c.e; ++x) projection += d_out[x] * t.o.as<T>()[row][h * c.e + x];
        for (int64_t j = 0; j < c.keys(); ++j) {
          const T p = std::exp(at(i, j) - t.lse.as<T>()[row][h]);
          T dp = 0;
          for (int64_t x = 0; x < c.e; ++x) dp += d_out[x] * value(b, j, g)[x];
          const T ds = scale_of(b, i) * (p * (dp - projection));
          const bool far = is_far(i, j);
          const Tensor &dq = far ? t.dq_far : t.dq, &dk = far ? t.dk_far : t.dk;
          for (int64_t x = 0; x < c.e; ++x) t.dv.as<T>()[b * c.keys() + j][g * c.e + x] += p * d_out[x];
          for (int64_t x = 0; x < c.d; ++x) {
            dq.as<T>()[row][h * c.d + x] += ds * key(b, j, g, far)[x];
            dk.as<T>()[b * c.keys() + j][g * c.d + x] += ds * query(b, i, h, far)[x];
          }
        }
      }
    });
  }

 private:
  static void fill_zero(const Tensor& tensor) { const_cast<Tensor&>(tensor).fill(std::vector<double>(tensor.size())); }
  bool is_far(int64_t i, int64_t j) const { return t.far() && i + c.prefix - j >= c.near; }
  T scale_of(int64_t b, int64_t i) const { return c.factor ? scale * t.factor.as<T>()[b][i] : scale; }
  const T* query(int64_t b, int64_t i, int64_t h, bool far) const {
    return (far ? t.q_far : t.q).as<T>()[b * c.queries + i] + h * c.d;
  }
  const T* key(int64_t b, int64_t j, int64_t g, bool far) const {
    return (far ? t.k_far : t.k).as<T>()[b * c.keys() + j] + g * c.d;
  }
  const T* value(int64_t b, int64_t j, int64_t g) const { return t.v.as<T>()[b * c.keys() + j] + g * c.e; }
  T& at(int64_t i, int64_t j) { return s[static_cast<size_t>(i * c.keys() + j)]; }
  template <class F>
  void each_head(F&& f) {
    for (int64_t b = 0; b < c.batch; ++b)
      for (int64_t h = 0; h < c.heads(); ++h) f(b, h, h / c.per_group);
  }
  void scores(int64_t b, int64_t h, int64_t g) {
    s.assign(static_cast<size_t>(c.queries * c.keys()), -std::numeric_limits<T>::infinity());
    for (int64_t i = 0; i < c.queries; ++i)
      for (int64_t j = 0; j < c.keys(); ++j) {
        const int64_t first = c.documents ? t.first_key.as<int32_t>()[b][i + c.prefix] : 0;
        if (j < first || j > i + c.prefix) continue;
        if (c.window > 0 && i + c.prefix - j >= c.window && j - first >= c.sinks) continue;
        const bool far = is_far(i, j);
        T sum = 0;
        for (int64_t x = 0; x < c.d; ++x) sum += query(b, i, h, far)[x] * key(b, j, g, far)[x];
        at(i, j) = scale_of(b, i) * sum;
      }
  }

  const AttentionTensors& t;
  AttentionCase c;
  T scale;
  std::vector<T> s;
};

}  // namespace rw::test
