// What the losses do with a row of scores: the largest, sums of exponentials, softmax.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/elementwise/elementwise.h"

namespace densa {

template <class T>
class RowMath {
 public:
  RowMath() : exp_(find_unary("exp")->fns<T>().value) {}

  // y = e^z; y may be z.
  void exp(T* y, const T* z, std::int64_t n) const {
    exp_(y, z, static_cast<std::size_t>(n), nullptr);
  }

  // The largest of n >= 1 values; NaN if any is NaN.
  static T top(const T* z, std::int64_t n) {
    T best = z[0];
    bool nan = best != best;
    for (std::int64_t c = 1; c < n; ++c) {
      nan |= z[c] != z[c];
      best = z[c] > best ? z[c] : best;
    }
    return nan ? std::nan("") : best;
  }

  // Eight running sums, then their sum: an order that depends on n alone.
  static T sum(const T* z, std::int64_t n) {
    T lane[8] = {};
    std::int64_t c = 0;
    for (; c + 8 <= n; c += 8)
      for (int k = 0; k < 8; ++k) lane[k] += z[c + k];
    for (int k = 0; c < n; ++c, ++k) lane[k] += z[c];
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }

  // sum_c e^(z_c - top), without room for the terms.
  T sum_exp(const T* z, std::int64_t n, T top) const {
    constexpr std::int64_t kBlock = 256;
    alignas(64) T term[kBlock];
    T total = 0;
    for (std::int64_t begin = 0; begin < n; begin += kBlock) {
      const std::int64_t m = std::min(kBlock, n - begin);
      for (std::int64_t c = 0; c < m; ++c) term[c] = z[begin + c] - top;
      exp(term, term, m);
      total += sum(term, m);
    }
    return total;
  }

  // y = softmax(z) of one row.
  void softmax(T* y, const T* z, std::int64_t n) const {
    const T largest = top(z, n);
    for (std::int64_t c = 0; c < n; ++c) y[c] = z[c] - largest;
    exp(y, y, n);
    const T scale = T(1) / sum(y, n);
    for (std::int64_t c = 0; c < n; ++c) y[c] *= scale;
  }

 private:
  void (*exp_)(T*, const T*, std::size_t, const double*);
};

}  // namespace densa
