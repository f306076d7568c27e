// Share of one core's multiply-add peak reached by the dense kernels.
//
//   dense_bench [float64]
//
// Every case runs in short bursts interleaved with a peak loop of the same width; the best burst of
// each counts, so that a busy machine still gives usable shares. Rows, in, out per line.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ops/dense/dense.h"
#include "ops/optimizer/optimizer.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using densa::kPanel;
using densa::padded;
using densa::panel_count;
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

// ---- peak: independent multiply-add chains, nothing else ----

volatile float sink;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double peak_512(std::int64_t steps) {
  __m512 v[16];
  for (auto& x : v) x = _mm512_set1_ps(1.0f);
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 16
    for (auto& x : v) x = _mm512_fmadd_ps(x, a, b);
  }
  __m512 all = v[0];
  for (auto& x : v) all = _mm512_add_ps(all, x);
  sink = all[0];
  return 16.0 * 32.0 * static_cast<double>(steps);
}
__attribute__((target("avx2,fma"))) double peak_256(std::int64_t steps) {
  __m256 v[12];
  for (auto& x : v) x = _mm256_set1_ps(1.0f);
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (auto& x : v) x = _mm256_fmadd_ps(x, a, b);
  }
  __m256 all = v[0];
  for (auto& x : v) all = _mm256_add_ps(all, x);
  sink = all[0];
  return 12.0 * 16.0 * static_cast<double>(steps);
}
double peak_burst(std::int64_t steps, const char* level) {
  return level[0] == 'v' && level[1] >= '4' ? peak_512(steps) : peak_256(steps);
}
#else
double peak_burst(std::int64_t steps, const char*) {
  typedef float V __attribute__((vector_size(16)));
  V v[16];
  for (auto& x : v) x = V{} + 1.0f;
  const V a = V{} + 0.999f, b = V{} + 1e-3f;
  for (std::int64_t s = 0; s < steps; ++s) {
    for (auto& x : v) x = x * a + b;
  }
  V all = v[0];
  for (auto& x : v) all += x;
  sink = all[0];
  return 16.0 * 8.0 * static_cast<double>(steps);
}
#endif

// ---- cases ----

template <class T>
struct Buffer {
  explicit Buffer(std::int64_t n)
      : data(static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 127) / 64 * 64))) {
    for (std::int64_t i = 0; i < n; ++i) data[i] = static_cast<T>((i * 7919 % 1000) * 1e-3 - 0.5);
  }
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  T* data;
};

template <class T>
void sgd(T* w, const T* g, T* const*, std::ptrdiff_t n, const densa::StepNumbers<T>& numbers) {
  for (std::ptrdiff_t i = 0; i < n; ++i) w[i] -= numbers.lr * g[i];
}

struct Result {
  double best = 1e9, peak = 0;
};

template <class Body>
Result measure(const char* level, double width_share, const Body& body) {
  Result result;
  body();
  auto start = Clock::now();
  body();
  const int repeats = std::clamp(static_cast<int>(2e-4 / (seconds(start) + 1e-9)), 1, 100000);
  for (int burst = 0; burst < 60; ++burst) {
    start = Clock::now();
    const double flop = peak_burst(2000, level) * width_share;
    result.peak = std::max(result.peak, flop / seconds(start));
    start = Clock::now();
    for (int i = 0; i < repeats; ++i) body();
    result.best = std::min(result.best, seconds(start) / repeats);
  }
  return result;
}

template <class T>
void run(std::int64_t rows, std::int64_t in, std::int64_t out) {
  const densa::DenseKernels<T>& k = densa::dense_kernels<T>();
  const std::int64_t row_panels = panel_count(rows);
  Buffer<T> x(rows * padded(in)), w(in * padded(out)), b(padded(out)), y(rows * padded(out));
  Buffer<T> dx(rows * padded(in)), dw(in * padded(out)), dyT(row_panels * padded(out) * kPanel);
  const std::ptrdiff_t xs = rows * kPanel, ws = in * kPanel, ts = padded(out) * kPanel;
  densa::StepNumbers<T> numbers;
  numbers.lr = T(1e-9);
  const double flop = 2.0 * static_cast<double>(rows * in) * static_cast<double>(out);
  const double width = sizeof(T) == 4 ? 1.0 : 0.5;
  const auto print = [&](const char* name, const Result& r) {
    std::printf("  %s %9.2f us %5.1f%%", name, r.best * 1e6, 100 * flop / r.best / r.peak);
  };
  std::printf("%5ld %5ld %5ld", long(rows), long(in), long(out));
  print("forward", measure(k.level, width, [&] {
          k.forward({{x.data, xs}, {w.data, ws}, b.data, {y.data, xs}, in, 0, rows, 0,
                     panel_count(out), false});
        }));
  print("dx", measure(k.level, width, [&] {
          k.transpose({{y.data, xs}, {dyT.data, ts}, rows, out, 0, panel_count(out)});
          k.dx({{dyT.data, ts}, {w.data, ws}, {dx.data, xs}, rows, in, out, 0, panel_count(in),
                false});
        }));
  print("dw", measure(k.level, width, [&] {
          k.dw({{x.data, xs}, {y.data, xs}, {dw.data, ws}, rows, out, 0, in, 0, panel_count(out),
                false});
        }));
  print("dw+sgd", measure(k.level, width, [&] {
          densa::dw_update<T>({{x.data, xs}, {y.data, xs}, {w.data, ws}, nullptr, 0, rows, in, out, 0,
                            panel_count(out), &sgd<T>, &numbers});
        }));
  std::printf("\n");
}

template <class T>
void run_all() {
  std::printf("level %s, %zu-byte numbers; share of one core's peak\n",
              densa::dense_kernels<T>().level, sizeof(T));
  const std::int64_t shapes[][3] = {
      {1, 784, 300},  {2, 784, 300},   {4, 784, 300},      {8, 784, 300},     {32, 784, 300},
      {32, 300, 100}, {32, 100, 10},   {128, 784, 300},    {512, 784, 300},   {64, 100, 100},
      {64, 17, 64},   {64, 3072, 100}, {256, 1024, 1024}};
  for (const auto& s : shapes) run<T>(s[0], s[1], s[2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "float64") == 0) {
    run_all<double>();
  } else {
    run_all<float>();
  }
}
