// Softmax cross-entropy and accuracy of every CPU level against double loops: labels of every
// width, dense targets, smoothing, 1 to 33 rows and classes, row-major memory and panels.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernel_levels.h"
#include "matrices.h"
#include "ops/loss/loss.h"

DENSA_DECLARE_TABLES(extern const LossTable loss_kernels;)

namespace {

using namespace densa;

struct Reference {
  double loss, terms;  // terms, dz_terms: what an eps of relative error is worth
  std::vector<double> dz, dz_terms;
};

// label >= 0: a class number; -1: the targets t; -2: a label outside.
Reference reference(const std::vector<double>& z, const std::vector<double>& t, double smoothing,
                    std::int64_t label, double dy) {
  const std::size_t n = z.size();
  Reference out{0, 0, std::vector<double>(n), std::vector<double>(n)};
  if (label == -2) {
    out.loss = std::nan("");
    std::fill(out.dz.begin(), out.dz.end(), out.loss);
    return out;
  }
  double top = z[0], sum = 0, weight = 0;
  for (double v : z) top = std::max(top, v);
  for (double v : z) sum += std::exp(v - top);
  for (std::size_t c = 0; c < n; ++c) {
    const double share = label >= 0 ? (static_cast<std::size_t>(label) == c ? 1.0 : 0.0)
                                    : t[c] * (1 - smoothing) + smoothing / static_cast<double>(n);
    weight += share;
    out.dz[c] = -share;
    if (share == 0) continue;
    out.loss += share * (std::log(sum) + top - z[c]);
    out.terms += share * (1 + std::log(sum) + std::fabs(top) + std::fabs(z[c]));
  }
  for (std::size_t c = 0; c < n; ++c) {
    const double p = std::exp(z[c] - top) / sum * weight;
    out.dz_terms[c] = std::fabs(dy) * (p * (1 + top - z[c]) - out.dz[c]);
    out.dz[c] = dy * (out.dz[c] + p);
  }
  return out;
}

// What a case is made of, and the result for row-major memory and for panels.
template <class T>
struct Case {
  std::int64_t rows, classes;
  bool dense;
  T smoothing;
  Labels labels;
  bool one_dy;
};

template <class T>
SoftmaxLoss<T> call_of(const Case<T>& c, const Matrix<T>& z, const Matrix<T>& t, const T* dy,
                       T* loss, Rows<T> dz, T* scratch) {
  SoftmaxLoss<T> call;
  call.z = z.read();
  call.classes = c.classes;
  call.row_end = c.rows;
  if (c.dense) {
    call.t = t.read();
  } else {
    call.labels = c.labels;
  }
  call.smoothing = c.smoothing;
  call.dy = dy;
  call.dy_step = c.one_dy ? 0 : 1;
  call.loss = loss;
  call.dz = dz;
  call.scratch = scratch;
  return call;
}

template <class T>
void check_case(const char* level, const LossFns<T>& fns, const Case<T>& c,
                const std::vector<std::int64_t>& label_of) {
  const auto where = [&] {
    std::printf("%s: %zu bytes, rows %lld, classes %lld, %s, labels of %d bytes\n", level,
                sizeof(T), static_cast<long long>(c.rows), static_cast<long long>(c.classes),
                c.dense ? "dense" : "labels", c.labels.bytes);
  };
  const int before = failures;
  std::mt19937 random(static_cast<unsigned>(c.rows * 64 + c.classes));
  std::normal_distribution<double> normal(0, 3);
  std::uniform_real_distribution<double> uniform(0, 1);
  Exact<T> dy(c.one_dy ? 1 : c.rows);
  for (std::int64_t i = 0; i < dy.size; ++i) dy[i] = static_cast<T>(normal(random));
  std::vector<std::vector<double>> zs, ts;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    zs.emplace_back();
    ts.emplace_back();
    for (std::int64_t k = 0; k < c.classes; ++k) {
      zs.back().push_back(static_cast<T>(normal(random)));
      // Zeros and ones among them, and rows whose sum is not 1.
      ts.back().push_back(static_cast<T>(r % 3 == 0 ? k == r % c.classes : uniform(random)));
    }
  }
  const Exact<T> scratch(softmax_loss_scratch(c.classes, !c.dense));
  Exact<T> first_loss = filled<T>(c.rows, T(5));
  Matrix<T> first_dz(c.rows, c.classes, false);
  for (bool panels : {false, true}) {
    Matrix<T> z(c.rows, c.classes, panels, false), t(c.rows, c.classes, panels, false);
    Matrix<T> dz(c.rows, c.classes, panels);
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t k = 0; k < c.classes; ++k) {
        z.at(r, k) = static_cast<T>(zs[r][k]);
        t.at(r, k) = static_cast<T>(ts[r][k]);
      }
    Exact<T> loss = filled<T>(c.rows, T(5));
    fns.softmax(call_of(c, z, t, dy.get(), loss.get(), dz.view(), scratch.get()));
    CHECK(dz.intact() && dz.padding_is(T(0)), "wrote where it must not");
    const double eps = std::numeric_limits<T>::epsilon();
    for (std::int64_t r = 0; r < c.rows; ++r) {
      const double g = dy[c.one_dy ? 0 : r];
      const Reference want = reference(zs[r], ts[r], c.smoothing, c.dense ? -1 : label_of[r], g);
      // z - top is rounded, which shifts an exp by half an ulp of that difference; exp and log are
      // within 2 ulp; of the roundings of a sum of 33 terms, most cancel. 8 eps of all that is
      // added up, a relative error of the sum counting as 1, holds them.
      const double loss_bound = 8 * eps * want.terms;
      CHECK(want.loss != want.loss ? loss[r] != loss[r]
                                   : std::fabs(loss[r] - want.loss) <= loss_bound,
            "loss %.9g for %.9g", static_cast<double>(loss[r]), want.loss);
      for (std::int64_t k = 0; k < c.classes; ++k) {
        const double got = dz.at(r, k), bound = 8 * eps * want.dz_terms[k] + 1e-30;
        CHECK(want.loss != want.loss ? got != got : std::fabs(got - want.dz[k]) <= bound,
              "dz %.9g for %.9g", got, want.dz[k]);
        if (panels) CHECK(same(dz.at(r, k), first_dz.at(r, k)), "panels give other bits");
        first_dz.at(r, k) = dz.at(r, k);
      }
      if (panels) CHECK(same(loss[r], first_loss[r]), "panels give other bits");
      first_loss[r] = loss[r];
      // The row by itself, loss and gradient apart.
      Exact<T> lone = filled<T>(c.rows, T(5));
      SoftmaxLoss<T> call = call_of(c, z, t, dy.get(), lone.get(), {}, scratch.get());
      call.dy = nullptr;
      call.row_begin = r;
      call.row_end = r + 1;
      fns.softmax(call);
      for (std::int64_t i = 0; i < c.rows; ++i)
        CHECK(same(lone[i], i == r ? loss[r] : T(5)), "a row by itself gives other bits");
    }
    fns.softmax(call_of(c, z, t, dy.get(), static_cast<T*>(nullptr), z.view(), scratch.get()));
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t k = 0; k < c.classes; ++k)
        CHECK(same(z.at(r, k), dz.at(r, k)), "in place gives other bits");
  }
  if (failures != before) where();
}

// Labels 0 ... classes-1 as L, every seventh of them outside the range.
template <class L>
struct LabelArray {
  LabelArray(std::int64_t rows, std::int64_t classes) : data(rows) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const bool outside = r % 7 == 3;
      data[r] = static_cast<L>(outside ? (r % 2 == 0 ? -1 : classes) : (r * 5 + 2) % classes);
      of.push_back(outside ? -2 : (r * 5 + 2) % classes);
    }
  }
  Labels labels() const {
    return {data.get(), static_cast<int>(sizeof(L)), std::numeric_limits<L>::is_signed};
  }
  Exact<L> data;
  std::vector<std::int64_t> of;
};

template <class T, class L>
void with_labels(const char* level, const LossFns<T>& fns, std::int64_t rows,
                 std::int64_t classes) {
  const LabelArray<L> array(rows, classes);
  check_case<T>(level, fns, {rows, classes, false, T(0), array.labels(), rows % 2 == 0}, array.of);
  // Every row's best class is its label, or the one after it.
  Matrix<T> scores(rows, classes, rows % 2 == 0, false);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < classes; ++c)
      scores.at(r, c) = T(c == (array.of[r] + (r % 3 == 0)) % classes ? 2 : 1);
  Exact<T> hit(rows);
  fns.accuracy(scores.read(), 0, rows, classes, array.labels(), hit.get());
  for (std::int64_t r = 0; r < rows; ++r) {
    const bool right = array.of[r] >= 0 && (r % 3 != 0 || classes == 1);
    CHECK(hit[r] == T(right), "%s: accuracy, classes %lld", level, static_cast<long long>(classes));
  }
}

template <class T>
void sizes(const char* level, const LossFns<T>& fns) {
  for (std::int64_t classes = 1; classes <= 33; ++classes)
    for (std::int64_t rows = 1; rows <= 33; ++rows) {
      for (T smoothing : {T(0), T(0.1)})
        check_case<T>(level, fns, {rows, classes, true, smoothing, {}, rows % 2 == 0}, {});
      if ((rows + classes) % 4 != 0) {  // the widths differ only in how a label is read
        with_labels<T, std::int64_t>(level, fns, rows, classes);
        continue;
      }
      with_labels<T, std::int8_t>(level, fns, rows, classes);
      with_labels<T, std::uint8_t>(level, fns, rows, classes);
      with_labels<T, std::int16_t>(level, fns, rows, classes);
      with_labels<T, std::uint16_t>(level, fns, rows, classes);
      with_labels<T, std::int32_t>(level, fns, rows, classes);
      with_labels<T, std::uint32_t>(level, fns, rows, classes);
      with_labels<T, std::uint64_t>(level, fns, rows, classes);
    }
}

// Scores that are not finite, and a target of 0 beside them.
template <class T>
void special(const char* level, const LossFns<T>& fns) {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  Matrix<T> z(4, 2, false), t(4, 2, false);
  const T scores[4][2] = {{-inf, 0}, {nan, 0}, {0, nan}, {T(1e4), T(-1e4)}};
  for (std::int64_t r = 0; r < 4; ++r)
    for (std::int64_t c = 0; c < 2; ++c) {
      z.at(r, c) = scores[r][c];
      t.at(r, c) = T(c);
    }
  Exact<T> loss(4), scratch(softmax_loss_scratch(2, false));
  const Case<T> c{4, 2, true, T(0), {}, true};
  const T one = 1;
  fns.softmax(call_of(c, z, t, &one, loss.get(), z.view(), scratch.get()));
  CHECK(loss[0] == 0 && z.at(0, 0) == 0 && z.at(0, 1) == 0, "%s: -inf has probability 0", level);
  CHECK(loss[1] != loss[1] && loss[2] != loss[2], "%s: NaN stays", level);
  CHECK(z.at(1, 1) != z.at(1, 1) && z.at(2, 0) != z.at(2, 0), "%s: NaN stays", level);
  CHECK(loss[3] == T(2e4) && z.at(3, 0) == 1 && z.at(3, 1) == -1, "%s: far scores", level);
}

}  // namespace

int main() {
#define DENSA_RUN(level)                             \
  {                                                  \
    std::printf("%s\n", #level);                     \
    sizes(#level, densa::level::loss_kernels.f32);   \
    sizes(#level, densa::level::loss_kernels.f64);   \
    special(#level, densa::level::loss_kernels.f32); \
    special(#level, densa::level::loss_kernels.f64); \
  }
  DENSA_EACH_LEVEL(DENSA_RUN)
  std::printf(failures == 0 ? "passed\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
