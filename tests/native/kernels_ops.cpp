// Elementwise, reduction and softmax kernels of every CPU level: nothing is written past the end
// (and, under ASan, nothing read), sums have the same bits on every level, panels give the bits of
// row-major memory and get zero padding.
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kernel_levels.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/reduce.h"
#include "ops/softmax/softmax.h"

DENSA_DECLARE_TABLES(extern const UnaryTable unary_kernels; extern const BinaryTable binary_kernels;
                     extern const ReduceTable reduce_kernels;
                     extern const SoftmaxTable softmax_kernels;)

namespace {

using namespace densa;

void check(bool ok, const char* level, const char* what, std::size_t n) {
  if (ok) return;
  ++failures;
  std::printf("%s: %s, n = %zu\n", level, what, n);
}

// Exactly n elements, so that ASan sees a read past the end; results have a canary behind them.
std::unique_ptr<float[]> numbers(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(0.1f, 4.0f);
  auto out = std::make_unique<float[]>(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = draw(random);
  return out;
}

struct Result {
  static constexpr std::size_t kCanary = 16;
  std::vector<float> data;
  explicit Result(std::size_t n) : data(n + kCanary, 77.0f) {}
  bool intact() const {
    for (std::size_t i = data.size() - kCanary; i < data.size(); ++i)
      if (data[i] != 77.0f) return false;
    return true;
  }
  float* get() { return data.data(); }
};

void elementwise(const char* level, const UnaryTable& unary, const BinaryTable& binary) {
  const double parameter = 0.5;
  for (std::size_t n = 0; n <= 40; ++n) {
    const auto x = numbers(n, 1), dy = numbers(n, 2);
    for (std::size_t k = 0; k < unary.count; ++k) {
      const UnaryFns<float>& fns = unary.kernels[k].f32;
      Result y(n), s(n), dx(n);
      fns.value(y.get(), x.get(), n, &parameter);
      check(y.intact(), level, unary.kernels[k].name, n);
      if (fns.slope == nullptr) continue;
      const bool from_input = unary.kernels[k].saved == Saved::kInput;
      fns.slope(dx.get(), dy.get(), from_input ? x.get() : y.get(), n, &parameter);
      check(dx.intact(), level, unary.kernels[k].name, n);
      Result y2(n);
      fns.value_and_slope(y2.get(), s.get(), x.get(), n, &parameter);
      check(y2.data == y.data && s.intact(), level, unary.kernels[k].name, n);
      for (std::size_t i = 0; i < n; ++i)
        check(dx.data[i] == dy[i] * s.data[i], level, unary.kernels[k].name, n);
      fns.curve(dx.get(), dy.get(), from_input ? x.get() : y.get(), n, &parameter);
      check(dx.intact(), level, unary.kernels[k].name, n);
      fns.value(y2.get(), y2.get(), 0, &parameter);
    }
    for (std::size_t k = 0; k < binary.count; ++k) {
      for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
          const auto size = [&](int step) { return step == 0 ? n : step == 1 ? 1 : 16; };
          const auto p = numbers(size(a), 3), q = numbers(size(b), 4);
          Result got(n), wide(n);
          binary.kernels[k].f32(got.get(), p.get(), q.get(), n, Step(a), Step(b));
          const auto at = [&](const float* v, int step, std::size_t i) {
            return step == 0 ? v[i] : step == 1 ? v[0] : v[i % 16];
          };
          std::vector<float> left(n), right(n);
          for (std::size_t i = 0; i < n; ++i) left[i] = at(p.get(), a, i);
          for (std::size_t i = 0; i < n; ++i) right[i] = at(q.get(), b, i);
          binary.kernels[k].f32(wide.get(), left.data(), right.data(), n, Step::kEach, Step::kEach);
          check(got.data == wide.data && got.intact(), level, binary.kernels[k].name, n);
        }
      }
    }
  }
}

// The same on every level: what the first level gave.
std::vector<std::vector<float>> first_sums;

void reductions(const char* level, const ReduceTable& table) {
  std::size_t place = 0;
  for (std::size_t n : {1, 2, 15, 16, 17, 63, 64, 65, 1000, 1024, 1041, 5000}) {
    const std::size_t rows = 3;
    const auto x = numbers(rows * n, 5);
    const std::vector<float> shift(rows > n ? rows : n, 1.5f);
    for (int kind = 0; kind < 6; ++kind) {
      Result by_row(rows), by_column(n);
      table.f32[kind].rows(by_row.get(), x.get(), static_cast<std::ptrdiff_t>(n), rows, n,
                           shift.data());
      table.f32[kind].columns(by_column.get(), x.get(), static_cast<std::ptrdiff_t>(n), rows, n,
                              shift.data());
      check(by_row.intact() && by_column.intact(), level, "reduce writes past the end", n);
      if (kind == static_cast<int>(Reduction::kSumExp)) continue;  // exp differs between levels
      for (const auto& result : {by_row.data, by_column.data}) {
        if (place == first_sums.size()) first_sums.push_back(result);
        check(first_sums[place++] == result, level, "sums differ between levels", n);
      }
    }
  }
}

// Row-major (rows, cols) as panels of `capacity` rows whose padding holds garbage.
std::vector<float> to_panels(const float* x, std::int64_t rows, std::int64_t cols,
                             std::int64_t capacity) {
  std::vector<float> out(static_cast<std::size_t>(panel_count(cols) * capacity * kPanel), -9.0f);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      out[static_cast<std::size_t>((c / kPanel * capacity + r) * kPanel + c % kPanel)] =
          x[r * cols + c];
  return out;
}

void same(const char* level, const char* what, const std::vector<float>& panels,
          const float* row_major, std::int64_t rows, std::int64_t cols, std::int64_t capacity) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < padded(cols); ++c) {
      const float got =
          panels[static_cast<std::size_t>((c / kPanel * capacity + r) * kPanel + c % kPanel)];
      check(got == (c < cols ? row_major[r * cols + c] : 0.0f), level, what,
            static_cast<std::size_t>(cols));
    }
}

void rows_of_groups(const char* level, const SoftmaxTable& softmax) {
  constexpr std::int64_t kRowCount = 5, kCapacity = 7;
  for (std::int64_t cols = 1; cols <= 50; ++cols) {
    const auto n = static_cast<std::size_t>(kRowCount * cols);
    const auto x = numbers(n, 6);
    const auto px = to_panels(x.get(), kRowCount, cols, kCapacity);
    const std::ptrdiff_t stride = kCapacity * kPanel;
    const Rows<const float> flat{x.get(), cols, kPanel}, panels{px.data(), kPanel, stride};
    for (auto f : {softmax.f32.softmax, softmax.f32.log_softmax}) {
      Result y(n);
      std::vector<float> py(px.size(), -5.0f);
      f({y.get(), cols, kPanel}, flat, 0, kRowCount, cols);
      f({py.data(), kPanel, stride}, panels, 0, kRowCount, cols);
      check(y.intact(), level, "softmax writes past the end", n);
      same(level, "softmax of panels", py, y.get(), kRowCount, cols, kCapacity);
    }
  }
}

}  // namespace

int main() {
#define DENSA_RUN(level)                                                            \
  {                                                                                 \
    std::printf("%s\n", #level);                                                    \
    elementwise(#level, densa::level::unary_kernels, densa::level::binary_kernels); \
    reductions(#level, densa::level::reduce_kernels);                               \
    rows_of_groups(#level, densa::level::softmax_kernels);                          \
  }
  DENSA_EACH_LEVEL(DENSA_RUN)
  std::printf(failures == 0 ? "passed\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
