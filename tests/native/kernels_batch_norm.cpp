// Batch norm kernels of every CPU level against double loops: odd numbers of rows, one row, padding
// columns, panels apart, in place, numbers that are not finite.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernel_levels.h"
#include "matrices.h"
#include "ops/batch_norm/batch_norm.h"

DENSA_DECLARE_TABLES(extern const BatchNormKernels<float> batch_norm_f32;
                     extern const BatchNormKernels<double> batch_norm_f64;)

namespace {

using namespace densa;

constexpr double kEpsilon = 1e-3;

// Inputs whose padding is zero, as a plan keeps it, and results full of garbage.
template <class T>
struct Data {
  Data(std::int64_t rows, std::int64_t cols)
      : rows(rows), cols(cols), x(rows, cols, true), dy(rows, cols, true), y(rows, cols, true) {
    std::mt19937 random(static_cast<unsigned>(rows * 64 + cols));
    std::normal_distribution<double> normal(0, 1);
    for (Exact<T>* v : {&gamma, &beta, &mean, &variance, &dgamma, &dbeta})
      *v = filled<T>(padded(cols), T(0));
    for (std::int64_t c = 0; c < padded(cols); ++c)
      for (std::int64_t r = 0; r < rows; ++r) {
        x.at(r, c) = c < cols ? static_cast<T>(normal(random) * 2 + 1) : T(0);
        dy.at(r, c) = c < cols ? static_cast<T>(normal(random)) : T(0);
      }
    for (std::int64_t c = 0; c < cols; ++c) {
      gamma[c] = static_cast<T>(normal(random));
      beta[c] = static_cast<T>(normal(random));
      mean[c] = static_cast<T>(normal(random));
      variance[c] = static_cast<T>(std::fabs(normal(random)) + 0.1);
    }
  }
  Panels<const T> read(const Matrix<T>& m) const { return {m.as_panels().data, m.stride}; }
  BatchNorm<T> forward(Matrix<T>& to) {
    BatchNorm<T> call;
    call.x = read(x);
    call.gamma = gamma.get();
    call.beta = beta.get();
    call.mean = mean.get();
    call.variance = variance.get();
    call.epsilon = static_cast<T>(kEpsilon);
    call.y = to.as_panels();
    call.rows = rows;
    call.last_panel = panel_count(cols);
    return call;
  }
  BatchNormGrad<T> backward(Matrix<T>& to) {
    BatchNormGrad<T> call;
    call.x = read(x);
    call.dy = read(dy);
    call.gamma = gamma.get();
    call.mean = mean.get();
    call.variance = variance.get();
    call.epsilon = static_cast<T>(kEpsilon);
    call.dx = to.as_panels();
    call.dgamma = dgamma.get();
    call.dbeta = dbeta.get();
    call.rows = rows;
    call.last_panel = panel_count(cols);
    return call;
  }

  std::int64_t rows, cols;
  Matrix<T> x, dy, y;
  Exact<T> gamma{0}, beta{0}, mean{0}, variance{0}, dgamma{0}, dbeta{0};
};

template <class T>
bool equal(const Exact<T>& a, const Exact<T>& b) {
  bool ok = a.size == b.size;
  for (std::int64_t i = 0; ok && i < a.size; ++i) ok = same(a[i], b[i]);
  return ok;
}

template <class T>
bool padding_is_zero(const Exact<T>& v, std::int64_t cols) {
  bool ok = true;
  for (std::int64_t c = cols; c < v.size; ++c) ok = ok && v[c] == T(0);
  return ok;
}

struct Where {
  const char* level;
  const char* what;
  std::size_t bytes;
  std::int64_t rows, cols;
};
void close(const Where& at, std::int64_t c, double got, double want, double bound) {
  CHECK(std::fabs(got - want) <= bound,
        "%s: %s, %zu bytes, rows %lld, column %lld of %lld: %.9g for "
        "%.9g",
        at.level, at.what, at.bytes, static_cast<long long>(at.rows), static_cast<long long>(c),
        static_cast<long long>(at.cols), got, want);
}
void holds(const Where& at, bool ok, const char* rule) {
  CHECK(ok, "%s: %s, %zu bytes, rows %lld, cols %lld: %s", at.level, at.what, at.bytes,
        static_cast<long long>(at.rows), static_cast<long long>(at.cols), rule);
}

// A sum of n terms makes one rounding per term, all else at most 8: (n + 8) eps of what is added up
// bounds every result.
template <class T>
double roundings(std::int64_t rows) {
  return std::numeric_limits<T>::epsilon() * static_cast<double>(rows + 8);
}

template <class T>
void check_forward(const Where& at, Data<T>& d, bool training) {
  const double slack = roundings<T>(d.rows), n = static_cast<double>(d.rows);
  for (std::int64_t c = 0; c < d.cols; ++c) {
    double mean = d.mean[c], variance = d.variance[c], size = 0;
    for (std::int64_t r = 0; r < d.rows; ++r) size += std::fabs(double(d.x.at(r, c))) / n;
    if (training) {
      mean = variance = 0;
      for (std::int64_t r = 0; r < d.rows; ++r) mean += d.x.at(r, c) / n;
      for (std::int64_t r = 0; r < d.rows; ++r)
        variance += (d.x.at(r, c) - mean) * (d.x.at(r, c) - mean) / n;
      close(at, c, d.mean[c], mean, slack * size);
      close(at, c, d.variance[c], variance, slack * (variance + slack * size * size));
    } else {
      size = std::fabs(mean);
    }
    const double scale = d.gamma[c] / std::sqrt(variance + kEpsilon);
    for (std::int64_t r = 0; r < d.rows; ++r) {
      const double x = d.x.at(r, c);
      close(at, c, d.y.at(r, c), (x - mean) * scale + d.beta[c],
            slack * (std::fabs(scale) * (std::fabs(x) + size) + std::fabs(double(d.beta[c]))));
    }
  }
  holds(at, d.y.padding_is(T(0)) && d.y.intact(), "padding is zero, spare rows are left alone");
  holds(at, padding_is_zero(d.mean, d.cols) && padding_is_zero(d.variance, d.cols),
        "the statistics of padding are zero");
}

template <class T>
void check_gradient(const Where& at, Data<T>& d) {
  const double slack = roundings<T>(d.rows), n = static_cast<double>(d.rows);
  for (std::int64_t c = 0; c < d.cols; ++c) {
    const double s = 1 / std::sqrt(d.variance[c] + kEpsilon), mean = d.mean[c];
    double dbeta = 0, dgamma = 0, dbeta_size = 0, dgamma_size = 0;
    for (std::int64_t r = 0; r < d.rows; ++r) {
      const double x = d.x.at(r, c), dy = d.dy.at(r, c);
      dbeta += dy;
      dgamma += dy * (x - mean) * s;
      dbeta_size += std::fabs(dy);
      dgamma_size += std::fabs(dy) * (std::fabs(x) + std::fabs(mean)) * s;
    }
    close(at, c, d.dbeta[c], dbeta, slack * dbeta_size);
    close(at, c, d.dgamma[c], dgamma, slack * dgamma_size);
    const double scale = d.gamma[c] * s;
    for (std::int64_t r = 0; r < d.rows; ++r) {
      const double h = (d.x.at(r, c) - mean) * s, dy = d.dy.at(r, c);
      const double h_size = (std::fabs(double(d.x.at(r, c))) + std::fabs(mean)) * s;
      const double size = std::fabs(dy) + (dbeta_size + h_size * dgamma_size) / n;
      close(at, c, d.y.at(r, c), scale * (dy - (dbeta + h * dgamma) / n),
            slack * std::fabs(scale) * size);
    }
  }
  holds(at, d.y.padding_is(T(0)) && d.y.intact(), "padding is zero, spare rows are left alone");
  holds(at, padding_is_zero(d.dgamma, d.cols) && padding_is_zero(d.dbeta, d.cols),
        "the gradients of padding are zero");
}

// The same bits panel by panel, the last one first, and in place.
template <class T, class Run>
void check_forms(const Where& at, const Data<T>& whole, const Run& run) {
  Data<T> apart(whole.rows, whole.cols);
  for (std::int64_t p = panel_count(whole.cols); p-- > 0;) run(apart, apart.y, p, p + 1);
  holds(at,
        equal(apart.y.data, whole.y.data) && equal(apart.mean, whole.mean) &&
            equal(apart.variance, whole.variance) && equal(apart.dgamma, whole.dgamma) &&
            equal(apart.dbeta, whole.dbeta),
        "panels apart give the same bits");
}

template <class T>
void sizes(const char* level, const BatchNormKernels<T>& kernels) {
  for (std::int64_t rows : {1, 2, 3, 4, 5, 16, 17, 33})
    for (std::int64_t cols : {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50}) {
      for (bool training : {true, false}) {
        const Where at{level, training ? "train" : "infer", sizeof(T), rows, cols};
        const auto run = [&](Data<T>& d, Matrix<T>& to, std::int64_t first, std::int64_t last) {
          BatchNorm<T> call = d.forward(to);
          call.first_panel = first;
          call.last_panel = last;
          (training ? kernels.train : kernels.infer)(call);
        };
        Data<T> d(rows, cols), in_place(rows, cols);
        run(d, d.y, 0, panel_count(cols));
        check_forward(at, d, training);
        check_forms(at, d, run);
        run(in_place, in_place.x, 0, panel_count(cols));
        holds(at, equal(in_place.x.data, d.y.data), "in place gives the same bits");
        if (training && rows == 1)
          for (std::int64_t c = 0; c < cols; ++c)
            holds(at, d.y.at(0, c) == d.beta[c] && d.variance[c] == 0, "one row is its own mean");
      }
      const Where at{level, "grad", sizeof(T), rows, cols};
      const auto run = [&](Data<T>& d, Matrix<T>& to, std::int64_t first, std::int64_t last) {
        BatchNormGrad<T> call = d.backward(to);
        call.first_panel = first;
        call.last_panel = last;
        kernels.grad(call);
      };
      Data<T> d(rows, cols), in_place(rows, cols);
      run(d, d.y, 0, panel_count(cols));
      check_gradient(at, d);
      check_forms(at, d, run);
      run(in_place, in_place.dy, 0, panel_count(cols));
      holds(at, equal(in_place.dy.data, d.y.data), "in place gives the same bits");
    }
}

// One bad number spoils its own column, and in inference its own element, and nothing else.
template <class T>
void special(const char* level, const BatchNormKernels<T>& kernels) {
  constexpr std::int64_t kRowCount = 5, kCols = 20, kBad = 17;
  for (T bad : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    Data<T> good(kRowCount, kCols), spoilt(kRowCount, kCols);
    spoilt.x.at(2, kBad) = bad;
    const auto others_equal = [&](const Where& at) {
      for (std::int64_t c = 0; c < padded(kCols); ++c) {
        if (c == kBad) continue;
        bool ok = same(good.mean[c], spoilt.mean[c]) &&
                  same(good.variance[c], spoilt.variance[c]) &&
                  same(good.dgamma[c], spoilt.dgamma[c]) && same(good.dbeta[c], spoilt.dbeta[c]);
        for (std::int64_t r = 0; r < kRowCount; ++r)
          ok = ok && same(good.y.at(r, c), spoilt.y.at(r, c));
        holds(at, ok, "other columns keep their bits");
      }
    };
    const auto column_is_lost = [&](const Where& at) {
      for (std::int64_t r = 0; r < kRowCount; ++r)
        holds(at, !std::isfinite(spoilt.y.at(r, kBad)), "no number of the column is finite");
    };
    Where at{level, "infer", sizeof(T), kRowCount, kCols};
    for (Data<T>* d : {&good, &spoilt}) kernels.infer(d->forward(d->y));
    others_equal(at);
    for (std::int64_t r = 0; r < kRowCount; ++r)
      holds(at,
            r == 2 ? !std::isfinite(spoilt.y.at(r, kBad))
                   : spoilt.y.at(r, kBad) == good.y.at(r, kBad),
            "only that element is not finite");
    at.what = "grad";
    for (Data<T>* d : {&good, &spoilt}) kernels.grad(d->backward(d->y));
    others_equal(at);
    column_is_lost(at);
    holds(at, same(spoilt.dbeta[kBad], good.dbeta[kBad]), "dbeta does not read x");
    at.what = "train";
    for (Data<T>* d : {&good, &spoilt}) kernels.train(d->forward(d->y));
    others_equal(at);
    column_is_lost(at);
    holds(at, same(spoilt.mean[kBad], bad) && std::isnan(spoilt.variance[kBad]),
          "the statistics are not finite");
  }
}

}  // namespace

int main() {
#define DENSA_RUN(level)                           \
  {                                                \
    std::printf("%s\n", #level);                   \
    sizes(#level, densa::level::batch_norm_f32);   \
    sizes(#level, densa::level::batch_norm_f64);   \
    special(#level, densa::level::batch_norm_f32); \
    special(#level, densa::level::batch_norm_f64); \
  }
  DENSA_EACH_LEVEL(DENSA_RUN)
  std::printf(failures == 0 ? "passed\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
