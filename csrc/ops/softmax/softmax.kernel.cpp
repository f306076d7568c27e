// Row by row: maximum, exponentials kept in y while they are summed, one pass to scale.
#include "ops/softmax/softmax.h"

#include "ops/softmax/formula.h"
#include "simd/rows.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
void softmax(const Rows<T>& y, const Rows<const T>& x, std::int64_t row_begin, std::int64_t row_end,
             std::int64_t cols) {
  const T low = -static_cast<T>(__builtin_huge_val());
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    const RowReader<T> row(x, r, cols);
    const Vec<T> shift = broadcast(row_max(row));
    const T sum = fold_row<T, AddLanes>(
        row.groups(), [&](std::int64_t g) __attribute__((always_inline)) {
          const Group<T> e = map_group(
              row.get(g, low), [&](Vec<T> v) __attribute__((always_inline)) {
                return SoftmaxShare::power(v, shift);
              });
          put(y, r, g, e, row.width(g));
          return keep_lanes(e, row.width(g), T{0});
        });
    const Vec<T> scale = broadcast(sum);
    const RowReader<T> kept({y.data, y.row, y.group}, r, cols);
    for (std::int64_t g = 0; g < row.groups(); ++g)
      put(y, r, g,
          map_group(
              kept.get(g, T{0}), [&](Vec<T> v) __attribute__((
                                     always_inline)) { return SoftmaxShare::value(v, scale); }),
          row.width(g));
  }
}

template <class T>
void log_softmax(const Rows<T>& y, const Rows<const T>& x, std::int64_t row_begin,
                 std::int64_t row_end, std::int64_t cols) {
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    const RowReader<T> row(x, r, cols);
    const T top = row_max(row);
    const Vec<T> shift = broadcast(top), rest = broadcast(log(row_sum_exp(row, top)));
    for (std::int64_t g = 0; g < row.groups(); ++g)
      put(y, r, g,
          map_group(
              row.get(g, T{0}),
              [&](Vec<T> v) __attribute__((always_inline)) {
                return SoftmaxShare::logarithm(v, shift, rest);
              }),
          row.width(g));
  }
}

}  // namespace

extern const SoftmaxTable softmax_kernels;
constinit const SoftmaxTable softmax_kernels = {{&softmax<float>, &log_softmax<float>},
                                                {&softmax<double>, &log_softmax<double>}};

}  // namespace densa::inline DENSA_ISA
