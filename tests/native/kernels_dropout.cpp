// Dropout on every CPU level, row-major and over panels, against the scalar Philox of the contract:
// same bits everywhere, any column count, panel ranges, block numbers around 2^32, memory beyond
// the ends untouched.
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernel_levels.h"
#include "ops/dropout/dropout.h"

DENSA_DECLARE_TABLES(extern const DropoutKernels dropout_table;)

namespace {

constexpr double kGuard = 777;

template <class T>
T expected(T x, std::int64_t index, double rate, std::uint64_t seed, std::uint64_t stream,
           std::uint64_t step) {
  const auto i = static_cast<std::uint64_t>(index);
  const std::uint32_t word =
      densa::philox(densa::philox_key(seed, stream), step, i / 4).word[i % 4];
  const auto threshold = static_cast<std::uint64_t>(std::llround(rate * 0x1p32));
  return word >= threshold ? x * static_cast<T>(1.0 / (1.0 - rate)) : T(0);
}

template <class T>
T sample(std::int64_t i) {
  return static_cast<T>(i % 97 + 1) / T(3);
}

template <class T>
void check_run(const char* level, void (*run)(const densa::DropoutRun<T>&), std::int64_t begin,
               std::int64_t n, double rate, std::uint64_t seed, std::uint64_t step) {
  std::vector<T> x(static_cast<std::size_t>(n) + 1), y(x.size(), T(kGuard));
  for (std::int64_t i = 0; i < n; ++i) x[i] = sample<T>(i);
  // The pointers stand for element 0, far before memory that exists when begin is large.
  const auto shift = static_cast<std::uintptr_t>(begin) * sizeof(T);
  densa::DropoutRun<T> call;
  call.x = reinterpret_cast<const T*>(reinterpret_cast<std::uintptr_t>(x.data()) - shift);
  call.y = reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(y.data()) - shift);
  call.begin = begin;
  call.end = begin + n;
  call.rate = rate;
  call.seed = seed;
  call.stream = 5;
  call.step = step;
  run(call);
  for (std::int64_t i = 0; i < n; ++i) {
    const T want = expected(x[i], begin + i, rate, seed, 5, step);
    CHECK(y[i] == want, "%s run of %lld at %lld: element %lld is %g, not %g\n", level, (long long)n,
          (long long)begin, (long long)i, double(y[i]), double(want));
  }
  CHECK(y[static_cast<std::size_t>(n)] == T(kGuard), "%s run of %lld\n", level, (long long)n);
}

template <class T>
void check_panels(const char* level, void (*run)(const densa::DropoutPanels<T>&), std::int64_t rows,
                  std::int64_t cols, std::int64_t first, std::int64_t last, double rate,
                  std::int64_t row_begin = 0) {
  const std::int64_t panels = densa::panel_count(cols), capacity = rows + 2;
  const auto size = static_cast<std::size_t>(panels * capacity * densa::kPanel);
  std::vector<T> x(size), y(size, T(kGuard));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      x[static_cast<std::size_t>((c / 16 * capacity + r) * 16 + c % 16)] = sample<T>(r * cols + c);
  densa::DropoutPanels<T> call;
  call.x = {x.data(), capacity * densa::kPanel};
  call.y = {y.data(), capacity * densa::kPanel};
  call.row_begin = row_begin, call.row_end = rows, call.cols = cols, call.first_panel = first,
  call.last_panel = last;
  call.rate = rate, call.seed = 11, call.stream = 3, call.step = 9;
  run(call);
  const auto verify = [&](const char* how) {
    for (std::int64_t p = 0; p < panels; ++p)
      for (std::int64_t r = 0; r < capacity; ++r)
        for (std::int64_t l = 0; l < densa::kPanel; ++l) {
          const auto at = static_cast<std::size_t>((p * capacity + r) * densa::kPanel + l);
          const std::int64_t c = p * densa::kPanel + l;
          const bool touched = p >= first && p < last && r >= row_begin && r < rows;
          const T outside = how[0] == 'i' ? x[at] : T(kGuard);
          const T want = !touched   ? outside
                         : c < cols ? expected(x[at], r * cols + c, rate, 11, 3, 9)
                                    : T(0);
          CHECK(y[at] == want,
                "%s %s panels %lld x %lld [%lld, %lld): (%lld, %lld) is %g, not %g\n", level, how,
                (long long)rows, (long long)cols, (long long)first, (long long)last, (long long)r,
                (long long)c, double(y[at]), double(want));
        }
  };
  verify("apart");
  y = x;
  call.x = {y.data(), capacity * densa::kPanel};
  run(call);
  verify("in place");
}

template <class T>
void check_all(const char* level, void (*run)(const densa::DropoutRun<T>&),
               void (*panels)(const densa::DropoutPanels<T>&)) {
  for (std::int64_t n : {0, 1, 15, 16, 17, 63, 64, 65, 130, 1000})
    for (double rate : {0.0, 0.1, 0.5, 0.999999999999}) check_run(level, run, 0, n, rate, 1, 2);
  for (std::uint64_t step : {0ull, 0xffffffffull, 0x100000000ull, 0xfedcba9876543210ull})
    check_run(level, run, 128, 200, 0.3, 0x123456789abcdefull, step);
  for (int power : {33, 34, 35})  // 2^34 elements fill 32 bits of blocks
    check_run(level, run, (std::int64_t{1} << power) - 320, 640, 0.4, 8, 1);
  for (std::int64_t rows : {1, 2, 3, 4, 5, 9})
    for (std::int64_t cols : {1, 2, 3, 4, 10, 13, 14, 15, 16, 17, 20, 31, 33, 48, 61, 64, 70}) {
      const std::int64_t count = densa::panel_count(cols);
      check_panels(level, panels, rows, cols, 0, count, 0.35);
      if (count > 1) check_panels(level, panels, rows, cols, 0, 1, 0.35);
      if (count > 2) check_panels(level, panels, rows, cols, 1, 2, 0.35);
      if (count > 1) check_panels(level, panels, rows, cols, count - 1, count, 0.35);
      check_panels(level, panels, rows + 16, cols, 0, count, 0.35, 16);
    }
}

}  // namespace

int main() {
#define RUN(level)                                               \
  check_all<float>(#level, densa::level::dropout_table.run_f32,  \
                   densa::level::dropout_table.panels_f32);      \
  check_all<double>(#level, densa::level::dropout_table.run_f64, \
                    densa::level::dropout_table.panels_f64);
  DENSA_EACH_LEVEL(RUN)
  return failures == 0 ? 0 : 1;
}
