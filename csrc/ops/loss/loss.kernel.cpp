// Loss and gradient of a row in one visit: maximum, sum of exponentials, then what is asked for.
#include "ops/loss/loss.h"
#include "simd/rows.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
struct RowSoftmax {
  T top, sum;
  explicit DENSA_ALWAYS_INLINE RowSoftmax(const RowReader<T>& row)
      : top(row_max(row)), sum(row_sum_exp(row, top)) {}
  DENSA_ALWAYS_INLINE Vec<T> probability(Vec<T> x) const {
    return exp(x - broadcast(top)) / broadcast(sum);
  }
};

template <class T>
DENSA_ALWAYS_INLINE T weight_of(const CrossEntropy<T>& a, std::int64_t r) {
  return a.dy == nullptr ? a.weight : a.dy[r];
}

template <class T>
void dense(const CrossEntropy<T>& a, const Rows<const T>& target, T smoothing) {
  const T low = -static_cast<T>(__builtin_huge_val());
  const Vec<T> keep = broadcast(T{1} - smoothing);
  const Vec<T> base = broadcast(smoothing / static_cast<T>(a.cols));
  for (std::int64_t r = a.row_begin; r < a.row_end; ++r) {
    const RowReader<T> x(a.x, r, a.cols), t(target, r, a.cols);
    const auto target_group = [&](std::int64_t g) __attribute__((always_inline)) {
      const Group<T> raw = t.get(g, T{0});
      if (smoothing == 0) return raw;
      const Group<T> s = map_group(
          raw, [&](Vec<T> v) __attribute__((always_inline)) { return v * keep + base; });
      return keep_lanes(s, x.width(g), T{0});
    };
    const RowSoftmax<T> row(x);
    if (a.loss != nullptr) {
      const Vec<T> top = broadcast(row.top), rest = broadcast(log(row.sum)), zero = broadcast(T{0});
      a.loss[r] = fold_row<T, AddLanes>(
          x.groups(), [&](std::int64_t g) __attribute__((always_inline)) {
            return map_group(
                x.get(g, T{0}),
                target_group(g), [&](Vec<T> v, Vec<T> p) __attribute__((always_inline)) {
                  return select(p == zero, zero, p * (rest - (v - top)));
                });
          });
    }
    if (a.dx.data == nullptr) continue;
    const Vec<T> total = broadcast(fold_row<T, AddLanes>(x.groups(), target_group));
    const Vec<T> w = broadcast(weight_of(a, r));
    for (std::int64_t g = 0; g < x.groups(); ++g)
      put(a.dx, r, g,
          map_group(
              x.get(g, low), target_group(g),
              [&](Vec<T> v, Vec<T> p)
                  __attribute__((always_inline)) { return w * (row.probability(v) * total - p); }),
          x.width(g));
  }
}

template <class T, class Label>
void sparse(const CrossEntropy<T>& a, const Label* labels) {
  const T low = -static_cast<T>(__builtin_huge_val());
  const T nan = static_cast<T>(__builtin_nan(""));
  for (std::int64_t r = a.row_begin; r < a.row_end; ++r) {
    const std::int64_t label = labels[r];
    const bool known = label >= 0 && label < a.cols;
    const RowReader<T> x(a.x, r, a.cols);
    const RowSoftmax<T> row(x);
    const T at_label = known ? a.x.at(r, label / kPanel)[label % kPanel] : nan;
    const T w = known ? weight_of(a, r) : nan;
    if (a.loss != nullptr) a.loss[r] = log(row.sum) - (at_label - row.top);
    if (a.dx.data == nullptr) continue;
    const T own = exp(at_label - row.top) / row.sum - T{1};
    const Vec<T> wide = broadcast(w);
    for (std::int64_t g = 0; g < x.groups(); ++g)
      put(a.dx, r, g,
          map_group(
              x.get(g, low), [&](Vec<T> v) __attribute__((
                                 always_inline)) { return wide * row.probability(v); }),
          x.width(g));
    if (known) a.dx.at(r, label / kPanel)[label % kPanel] = w * own;
  }
}

template <class T, class Label>
void accuracy(const Rows<const T>& scores, std::int64_t row_begin, std::int64_t row_end,
              std::int64_t cols, const Label* labels, T* hit) {
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    std::int64_t best = 0;
    T top = *scores.at(r, 0);
    for (std::int64_t c = 1; c < cols; ++c) {
      const T v = scores.at(r, c / kPanel)[c % kPanel];
      if (v > top || (v != v && top == top)) {
        best = c;
        top = v;
      }
    }
    hit[r] = best == labels[r] && top == top ? T{1} : T{0};  // a row with a NaN is wrong
  }
}

template <class T>
constexpr LossFns<T> fns() {
  return {&dense<T>, &sparse<T, std::int32_t>, &sparse<T, std::int64_t>, &accuracy<T, std::int32_t>,
          &accuracy<T, std::int64_t>};
}

}  // namespace

extern const LossTable loss_kernels;
constinit const LossTable loss_kernels = {fns<float>(), fns<double>()};

}  // namespace densa::inline DENSA_ISA
