// Compiled once per CPU level. A panel's 16 columns are worked on a few vectors at a time, so that
// sums stay in registers while the panel, still in cache, is walked twice.
#include "ops/batch_norm/batch_norm.h"

#include "ops/batch_norm/formula.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

// Vectors per walk: four independent chains hide the latency of the adds; a panel may have fewer.
template <class T>
inline constexpr int kVecs = kPanel / kLanes<T> < 4 ? static_cast<int>(kPanel / kLanes<T>) : 4;

// Sum over rows of f(row) for kVecs<T> neighbouring vectors. Rows alternate between two chains that
// are joined at the end: the order depends on the number of rows alone.
template <class T, class F>
DENSA_ALWAYS_INLINE void sum_rows(std::int64_t rows, Vec<T>* sum, const F& f) {
  Vec<T> even[kVecs<T>] = {}, odd[kVecs<T>] = {};
  std::int64_t r = 0;
  for (; r + 2 <= rows; r += 2)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs<T>; ++v) {
      even[v] = f(even[v], r, v);
      odd[v] = f(odd[v], r + 1, v);
    }
  if (r < rows)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs<T>; ++v) even[v] = f(even[v], r, v);
#pragma GCC unroll 4
  for (int v = 0; v < kVecs<T>; ++v) sum[v] = even[v] + odd[v];
}

template <class T>
constexpr std::int64_t kStep = kVecs<T>* static_cast<std::int64_t>(kLanes<T>);

template <class T>
DENSA_ALWAYS_INLINE std::int64_t at(std::int64_t r, int v) {
  return r * kPanel + v * static_cast<std::int64_t>(kLanes<T>);
}

template <class T>
DENSA_ALWAYS_INLINE void scale_rows(const T* x, T* y, std::int64_t rows, const Vec<T>* mean,
                                    const Vec<T>* scale, const Vec<T>* shift) {
  for (std::int64_t r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs<T>; ++v)
      store(y + at<T>(r, v),
            BatchNormOf::value(load(x + at<T>(r, v)), mean[v], scale[v], shift[v]));
}

template <class T>
void train(const BatchNorm<T>& a) {
  const Vec<T> n = lane<Vec<T>>(static_cast<T>(a.rows));
  for (std::int64_t p = a.first_panel; p < a.last_panel; ++p)
    for (std::int64_t part = 0; part < kPanel; part += kStep<T>) {
      const T* x = a.x.panel(p) + part;
      const std::int64_t column = p * kPanel + part;
      Vec<T> mean[kVecs<T>], variance[kVecs<T>], scale[kVecs<T>], shift[kVecs<T>];
      sum_rows<T>(a.rows, mean,
                  [&](Vec<T> s, std::int64_t r, int v) { return s + load(x + at<T>(r, v)); });
#pragma GCC unroll 4
      for (int v = 0; v < kVecs<T>; ++v) mean[v] /= n;
      sum_rows<T>(a.rows, variance, [&](Vec<T> s, std::int64_t r, int v) {
        const Vec<T> d = load(x + at<T>(r, v)) - mean[v];
        return mul_add(d, d, s);
      });
#pragma GCC unroll 4
      for (int v = 0; v < kVecs<T>; ++v) {
        variance[v] /= n;
        const std::int64_t c = column + at<T>(0, v);
        store(a.mean + c, mean[v]);
        store(a.variance + c, variance[v]);
        scale[v] = BatchNormOf::scale(load(a.gamma + c), variance[v], lane<Vec<T>>(a.epsilon));
        shift[v] = load(a.beta + c);
      }
      scale_rows<T>(x, a.y.panel(p) + part, a.rows, mean, scale, shift);
    }
}

template <class T>
void infer(const BatchNorm<T>& a) {
  for (std::int64_t p = a.first_panel; p < a.last_panel; ++p)
    for (std::int64_t part = 0; part < kPanel; part += kStep<T>) {
      const std::int64_t column = p * kPanel + part;
      Vec<T> mean[kVecs<T>], scale[kVecs<T>], shift[kVecs<T>];
#pragma GCC unroll 4
      for (int v = 0; v < kVecs<T>; ++v) {
        const std::int64_t c = column + at<T>(0, v);
        mean[v] = load(a.mean + c);
        scale[v] =
            BatchNormOf::scale(load(a.gamma + c), load(a.variance + c), lane<Vec<T>>(a.epsilon));
        shift[v] = load(a.beta + c);
      }
      scale_rows<T>(a.x.panel(p) + part, a.y.panel(p) + part, a.rows, mean, scale, shift);
    }
}

template <class T>
void grad(const BatchNormGrad<T>& a) {
  const Vec<T> n = lane<Vec<T>>(static_cast<T>(a.rows));
  for (std::int64_t p = a.first_panel; p < a.last_panel; ++p)
    for (std::int64_t part = 0; part < kPanel; part += kStep<T>) {
      const T* x = a.x.panel(p) + part;
      const T* dy = a.dy.panel(p) + part;
      T* dx = a.dx.panel(p) + part;
      const std::int64_t column = p * kPanel + part;
      Vec<T> mean[kVecs<T>], dbeta[kVecs<T>], dot[kVecs<T>];
      BatchNormSlope<Vec<T>> slope[kVecs<T>];
#pragma GCC unroll 4
      for (int v = 0; v < kVecs<T>; ++v) {
        const std::int64_t c = column + at<T>(0, v);
        mean[v] = load(a.mean + c);
      }
      sum_rows<T>(a.rows, dbeta,
                  [&](Vec<T> sum, std::int64_t r, int v) { return sum + load(dy + at<T>(r, v)); });
      sum_rows<T>(a.rows, dot, [&](Vec<T> sum, std::int64_t r, int v) {
        return mul_add(load(dy + at<T>(r, v)), load(x + at<T>(r, v)) - mean[v], sum);
      });
#pragma GCC unroll 4
      for (int v = 0; v < kVecs<T>; ++v) {
        const std::int64_t c = column + at<T>(0, v);
        const Vec<T> inverse =
            BatchNormSlope<Vec<T>>::inverse(load(a.variance + c), lane<Vec<T>>(a.epsilon));
        slope[v] = BatchNormSlope<Vec<T>>::of(load(a.gamma + c), inverse, dbeta[v], dot[v], n);
        store(a.dbeta + c, dbeta[v]);
        store(a.dgamma + c, slope[v].dgamma);
      }
      for (std::int64_t r = 0; r < a.rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < kVecs<T>; ++v)
          store(dx + at<T>(r, v),
                slope[v].dx(load(x + at<T>(r, v)), mean[v], load(dy + at<T>(r, v))));
    }
}

}  // namespace

extern const BatchNormKernels<float> batch_norm_f32;
extern const BatchNormKernels<double> batch_norm_f64;
constinit const BatchNormKernels<float> batch_norm_f32 = {&train<float>, &infer<float>,
                                                          &grad<float>};
constinit const BatchNormKernels<double> batch_norm_f64 = {&train<double>, &infer<double>,
                                                           &grad<double>};

}  // namespace densa
