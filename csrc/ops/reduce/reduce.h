// Reductions over the rows or columns of a matrix.
//
// Order of additions, by the number of elements alone: the elements of one result are dealt to 16
// lanes (rows) or stay one sequence (columns). A sequence is summed in blocks of 64 one after the
// other, the block sums pairwise: blocks 0+1, 2+3, then those sums, as a binary counter carries.
// At the end lane i joins lane i+8, i+4, i+2, i+1. So a float32 sum of n numbers is off by at most
// about 64 + log2(n) roundings, the same on every CPU level and for any number of threads.
#pragma once
#include <cstddef>

namespace densa {

// dst[i] = the reduction of row i (rows) or column i (columns) of the matrix (rows, cols) whose row
// r starts at src + r * row. `shift` (one number per result) enters sum_square = sum (x - shift)^2
// and sum_exp = sum exp(x - shift); others ignore it. Needs rows, cols >= 1.
template <class T>
using ReduceFn = void (*)(T* dst, const T* src, std::ptrdiff_t row, std::size_t rows,
                          std::size_t cols, const T* shift);

template <class T>
struct ReduceFns {
  ReduceFn<T> rows;
  ReduceFn<T> columns;
};

enum class Reduction : int { kSum, kProd, kMax, kMin, kSumSquare, kSumExp };

struct ReduceTable {
  ReduceFns<float> f32[6];
  ReduceFns<double> f64[6];
};
const ReduceTable& reduce_table();

template <class T>
const ReduceFns<T>& reduce_fns(Reduction kind) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return reduce_table().f32[static_cast<int>(kind)];
  } else {
    return reduce_table().f64[static_cast<int>(kind)];
  }
}

}  // namespace densa
