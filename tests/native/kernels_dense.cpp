// The dense kernels of every CPU level against a plain loop, bit for bit: each result is one chain
// of multiply-adds, so the reference knows its exact value. Every awkward size; padding that may
// not be read holds NaN; what may not be written holds a canary.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernel_levels.h"
#include "ops/dense/dense.h"

DENSA_DECLARE_TABLES(extern const DenseKernels<float> dense_f32;
                     extern const DenseKernels<double> dense_f64;)

namespace {

using densa::kPanel;
using densa::padded;
using densa::panel_count;

std::uint64_t seed = 20240601;
double random_number() {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<double>(seed >> 11) * 0x1p-53 * 2 - 1;
}

template <class T>
T nan() {
  return std::numeric_limits<T>::quiet_NaN();
}
constexpr double kCanary = 12345.0;

template <class T>
bool same(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (a == 0 && b == 0);
}

// A matrix in panels with spare rows and aligned storage.
template <class T>
struct Matrix {
  Matrix(std::int64_t row_count, std::int64_t col_count, std::int64_t spare, T padding)
      : rows(row_count),
        cols(col_count),
        capacity(row_count + spare),
        store(panel_count(cols) * capacity * kPanel + 16, static_cast<T>(kCanary)) {
    data = reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(store.data()) + 63) / 64 * 64);
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < padded(cols); ++c)
        at(r, c) = c < cols ? static_cast<T>(random_number()) : padding;
  }
  Matrix(const Matrix& other) = delete;
  T& at(std::int64_t r, std::int64_t c) {
    return data[c / kPanel * capacity * kPanel + r * kPanel + c % kPanel];
  }
  densa::Panels<T> panels() { return {data, capacity * kPanel}; }
  densa::Panels<const T> view() { return {data, capacity * kPanel}; }
  void fill(T value) {
    for (std::int64_t i = 0; i < panel_count(cols) * capacity * kPanel; ++i) data[i] = value;
  }
  // Spare rows and the numbers after the last panel still hold what they held.
  bool spare_untouched() {
    for (std::int64_t p = 0; p < panel_count(cols); ++p)
      for (std::int64_t r = rows; r < capacity; ++r)
        for (std::int64_t c = 0; c < kPanel; ++c)
          if (at(r, p * kPanel + c) != static_cast<T>(kCanary)) return false;
    return *(store.data() + store.size() - 1) == static_cast<T>(kCanary) ||
           data + panel_count(cols) * capacity * kPanel == store.data() + store.size();
  }
  std::int64_t rows, cols, capacity;
  std::vector<T> store;
  T* data;
};

template <class T>
T chain(bool fused, T a, T b, T sum) {
  if (fused) return std::fma(a, b, sum);
  volatile T product = a * b;
  return product + sum;
}

struct Context {
  const char* level;
  bool fused;
  long rows, in, out;
};
#define WHERE(c) \
  "%s %s rows %ld in %ld out %ld", c.level, sizeof(T) == 4 ? "f32" : "f64", c.rows, c.in, c.out

template <class T>
void test_forward(const densa::DenseKernels<T>& k, const Context& c) {
  Matrix<T> x(c.rows, c.in, 3, nan<T>()), w(c.in, c.out, 0, 0), y(c.rows, c.out, 5, 0);
  std::vector<T> b(padded(c.out), 0);
  for (long n = 0; n < c.out; ++n) b[n] = static_cast<T>(random_number());
  for (int mode = 0; mode < 3; ++mode) {  // bias, zero, accumulate
    std::vector<T> want(c.rows * padded(c.out));
    for (long r = 0; r < c.rows; ++r)
      for (long n = 0; n < padded(c.out); ++n) {
        T sum = mode == 0 ? b[n] : mode == 1 ? T(0) : y.at(r, n);
        for (long i = 0; i < c.in; ++i) sum = chain(c.fused, x.at(r, i), w.at(i, n), sum);
        want[r * padded(c.out) + n] = sum;
      }
    // All at once, then in odd pieces: the bits may not change.
    for (int pieces = 0; pieces < (mode == 2 ? 1 : 2); ++pieces) {
      if (mode != 2) {
        y.fill(static_cast<T>(kCanary));
      }
      densa::DenseForward<T> call{x.view(),   w.view(), mode == 0 ? b.data() : nullptr,
                                  y.panels(), c.in,     0,
                                  c.rows,     0,        panel_count(c.out),
                                  mode == 2};
      if (pieces == 0) {
        k.forward(call);
      } else {
        for (long p = 0; p < panel_count(c.out); p += 2) {
          call.first_panel = p;
          call.last_panel = std::min<long>(p + 2, panel_count(c.out));
          for (long r = 0; r < c.rows; r += 7) {
            call.row_begin = r;
            call.row_end = std::min(r + 7, c.rows);
            k.forward(call);
          }
        }
      }
      for (long r = 0; r < c.rows; ++r)
        for (long n = 0; n < padded(c.out); ++n)
          CHECK(same(y.at(r, n), want[r * padded(c.out) + n]), WHERE(c));
      CHECK(y.spare_untouched(), WHERE(c));
    }
  }
}

template <class T>
void test_backward(const densa::DenseKernels<T>& k, const Context& c) {
  Matrix<T> x(c.rows, c.in, 2, nan<T>()), w(c.in, c.out, 0, nan<T>());
  Matrix<T> dy(c.rows, c.out, 3, nan<T>());
  // Row-panels: the "rows" of this matrix are the columns of dy.
  Matrix<T> dy_t(c.out, c.rows, 1, 0);
  dy_t.fill(static_cast<T>(kCanary));
  for (long p = 0; p < panel_count(c.out); ++p)
    k.transpose({dy.view(), dy_t.panels(), c.rows, c.out, p, p + 1});
  for (long n = 0; n < c.out; ++n)
    for (long r = 0; r < padded(c.rows); ++r)
      CHECK(same(dy_t.at(n, r), r < c.rows ? dy.at(r, n) : T(0)), WHERE(c));
  CHECK(dy_t.spare_untouched(), WHERE(c));

  for (int add = 0; add < 2; ++add) {
    Matrix<T> dx(c.rows, c.in, 2, 0);
    std::vector<T> want(c.rows * padded(c.in));
    for (long r = 0; r < c.rows; ++r)
      for (long i = 0; i < padded(c.in); ++i) {
        T sum = 0;
        for (long n = 0; i < c.in && n < c.out; ++n)
          sum = chain(c.fused, w.at(i, n), dy.at(r, n), sum);
        want[r * padded(c.in) + i] = add ? dx.at(r, i) + sum : sum;
      }
    if (!add)
      for (long r = 0; r < c.rows; ++r)
        for (long i = 0; i < padded(c.in); ++i) dx.at(r, i) = nan<T>();
    const long half = panel_count(c.in) / 2;
    k.dx({dy_t.view(), w.view(), dx.panels(), c.rows, c.in, c.out, 0, half, add == 1});
    k.dx({dy_t.view(), w.view(), dx.panels(), c.rows, c.in, c.out, half, panel_count(c.in),
          add == 1});
    for (long r = 0; r < c.rows; ++r)
      for (long i = 0; i < padded(c.in); ++i)
        CHECK(same(dx.at(r, i), want[r * padded(c.in) + i]), WHERE(c));
    CHECK(dx.spare_untouched(), WHERE(c));
  }

  for (int add = 0; add < 2; ++add) {
    Matrix<T> dw(c.in, c.out, 0, 0), db(1, c.out, 0, 0);
    std::vector<T> want(c.in * padded(c.out));
    for (long i = 0; i < c.in; ++i)
      for (long n = 0; n < padded(c.out); ++n) {
        T sum = add ? dw.at(i, n) : T(0);
        for (long r = 0; n < c.out && r < c.rows; ++r)
          sum = chain(c.fused, x.at(r, i), dy.at(r, n), sum);
        want[i * padded(c.out) + n] = sum;
      }
    // In blocks of 32 rows and of three panels, to their place.
    for (long p = 0; p < panel_count(c.out); p += 3)
      for (long i = 0; i < c.in; i += 32) {
        densa::Panels<T> place{dw.panels().panel(p) + i * kPanel, dw.panels().stride};
        k.dw({x.view(), dy.view(), place, c.rows, c.out, i, std::min(i + 32, c.in), p,
              std::min<long>(p + 3, panel_count(c.out)), add == 1});
      }
    for (long i = 0; i < c.in; ++i)
      for (long n = 0; n < padded(c.out); ++n)
        CHECK(same(dw.at(i, n), want[i * padded(c.out) + n]), WHERE(c));

    std::vector<T> row(padded(c.out));
    for (long n = 0; n < padded(c.out); ++n) {
      volatile T sum[4] = {0, 0, 0, 0};
      for (long r = 0; n < c.out && r < c.rows; ++r) sum[r % 4] = sum[r % 4] + dy.at(r, n);
      const T total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
      row[n] = add && n < c.out ? db.data[n] + total : total;
    }
    k.db({dy.view(), db.data, c.rows, c.out, 0, panel_count(c.out), add == 1});
    for (long n = 0; n < padded(c.out); ++n) CHECK(same(db.data[n], row[n]), WHERE(c));
  }
}

template <class T>
void test_pack(const densa::DenseKernels<T>& k, const Context& c) {
  for (int turned = 0; turned < 3; ++turned) {
    const std::ptrdiff_t rs = turned == 0 ? c.in + 3 : turned == 1 ? 1 : 2 * c.in;
    const std::ptrdiff_t cs = turned == 0 ? 1 : turned == 1 ? c.rows + 1 : 2;
    const long size = c.rows == 0 || c.in == 0 ? 1 : (c.rows - 1) * rs + (c.in - 1) * cs + 1;
    std::vector<T> plain(size), back(size, static_cast<T>(kCanary));
    for (T& v : plain) v = static_cast<T>(random_number());
    Matrix<T> x(c.rows, c.in, 2, nan<T>());
    k.pack({plain.data(), rs, cs, x.panels(), c.in, 0, c.rows / 2});
    k.pack({plain.data(), rs, cs, x.panels(), c.in, c.rows / 2, c.rows});
    k.unpack({x.view(), back.data(), rs, cs, c.in, 0, c.rows});
    std::vector<bool> used(size, false);
    for (long r = 0; r < c.rows; ++r)
      for (long i = 0; i < padded(c.in); ++i) {
        CHECK(same(x.at(r, i), i < c.in ? plain[r * rs + i * cs] : T(0)), WHERE(c));
        if (i < c.in) {
          CHECK(same(back[r * rs + i * cs], plain[r * rs + i * cs]), WHERE(c));
          used[r * rs + i * cs] = true;
        }
      }
    for (long i = 0; i < size; ++i) CHECK(used[i] || back[i] == static_cast<T>(kCanary), WHERE(c));
    CHECK(x.spare_untouched(), WHERE(c));
  }
}

template <class T>
void test_level(const densa::DenseKernels<T>& k, const char* level) {
  Context c{level, std::string(level) != "v2", 0, 0, 0};
  CHECK(std::string(k.level) == level, "table says %s", k.level);
  for (long rows : {0, 1, 2, 3, 5, 8, 13, 15, 16, 17, 31, 33, 47, 112})
    for (long in : {0, 1, 15, 16, 17, 31, 33, 70})
      for (long out : {1, 15, 16, 17, 31, 33, 49, 81, 150}) {
        if (rows > 40 && out > 50) continue;
        c.rows = rows, c.in = in, c.out = out;
        test_forward(k, c);
        test_backward(k, c);
        if (out == 1) test_pack(k, c);
      }
  // Long reductions are blocked.
  const long shapes[][3] = {{3, 9001, 18}, {9001, 18, 35}, {5, 20, 9001}, {200, 64, 16}};
  for (const auto& s : shapes) {
    c.rows = s[0], c.in = s[1], c.out = s[2];
    test_forward(k, c);
    test_backward(k, c);
  }
}

}  // namespace

int main() {
#define RUN(level)                                    \
  test_level<float>(densa::level::dense_f32, #level); \
  test_level<double>(densa::level::dense_f64, #level)
  DENSA_EACH_LEVEL(RUN)
#undef RUN
  std::printf("kernels_dense: %d failures\n", failures);
  return failures > 0;
}
