// Share of one core's multiply-add peak reached by the dense kernels.
//
//   dense_bench [float64]
//
// Every case runs in short bursts between bursts of a peak loop of the same width, because the
// speed of a shared machine drifts by more than what is measured. On a busy machine run it at
// real-time priority (chrt -f 1).
//
// A line: rows, in, out; then forward; dx with its transpose; dw; dw with the sgd and with the adam
// step fused.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ops/dense/dense.h"
#include "ops/optimizer/step_maker.h"

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

struct Result {
  double seconds = 0, peak = 0;  // of one run; flop/s of the peak loop beside it
};

// Short bursts of the body, each between two bursts of the peak loop. Bursts during which the peak
// changed are left out; of the rest the median ratio counts.
template <class Body>
Result measure(const char* level, double width_share, const Body& body) {
  const auto peak = [&] {
    const auto start = Clock::now();
    const double flop = peak_burst(2000, level) * width_share;
    return flop / seconds(start);
  };
  body();
  auto start = Clock::now();
  body();
  const double once = seconds(start) + 1e-9;
  const int repeats = std::clamp(static_cast<int>(2e-5 / once), 1, 100000);
  const int bursts = std::clamp(static_cast<int>(0.03 / (once * repeats)), 30, 1000);
  std::vector<Result> steady, all;
  double before = peak();
  for (int burst = 0; burst < bursts; ++burst) {
    start = Clock::now();
    for (int i = 0; i < repeats; ++i) body();
    const double taken = seconds(start) / repeats, after = peak();
    all.push_back({taken, (before + after) / 2});
    if (std::abs(before - after) < 0.03 * after) steady.push_back(all.back());
    before = after;
  }
  auto& kept = steady.size() > 9 ? steady : all;
  const auto middle = kept.begin() + kept.size() / 2;
  std::nth_element(kept.begin(), middle, kept.end(), [](const Result& a, const Result& b) {
    return a.seconds * a.peak < b.seconds * b.peak;
  });
  return *middle;
}

template <class T>
void run(std::int64_t rows, std::int64_t in, std::int64_t out) {
  const densa::DenseKernels<T>& k = densa::dense_kernels<T>();
  const std::int64_t row_panels = panel_count(rows);
  Buffer<T> x(rows * padded(in)), w(in * padded(out)), b(padded(out)), y(rows * padded(out));
  Buffer<T> dx(rows * padded(in)), dw(in * padded(out)), dyT(row_panels * padded(out) * kPanel);
  const std::ptrdiff_t xs = rows * kPanel, ws = in * kPanel, ts = padded(out) * kPanel;
  Buffer<T> s0(in * padded(out)), s1(in * padded(out));
  T* const slots[] = {s0.data, s1.data};
  const double flop = 2.0 * static_cast<double>(rows * in) * static_cast<double>(out);
  const double width = sizeof(T) == 4 ? 1.0 : 0.5;
  const auto print = [&](const char* name, const Result& r) {
    std::printf("  %s %9.2f us %5.1f%%", name, r.seconds * 1e6, 100 * flop / r.seconds / r.peak);
  };
  std::printf("%5ld %5ld %5ld", long(rows), long(in), long(out));
  print("forward", measure(k.level, width, [&] {
          k.forward({{x.data, xs},
                     {w.data, ws},
                     b.data,
                     {y.data, xs},
                     in,
                     0,
                     rows,
                     0,
                     panel_count(out),
                     false});
        }));
  print("dx", measure(k.level, width, [&] {
          k.transpose({{y.data, xs}, {dyT.data, ts}, rows, out, 0, panel_count(out)});
          k.dx({{dyT.data, ts},
                {w.data, ws},
                {dx.data, xs},
                rows,
                in,
                out,
                0,
                panel_count(in),
                false});
        }));
  print("dw", measure(k.level, width, [&] {
          k.dw({{x.data, xs},
                {y.data, xs},
                {dw.data, ws},
                rows,
                out,
                0,
                in,
                0,
                panel_count(out),
                false});
        }));
  for (const char* kind : {"sgd", "adam"}) {
    densa::StepMaker maker(kind, {});
    const densa::StepNumbers<T> numbers = maker.numbers<T>(10, 1e-9);
    for (std::int64_t i = 0; i < in * padded(out); ++i) s1.data[i] = T(0.25);
    print(kind, measure(k.level, width, [&] {
            densa::dw_update<T>({.x = {x.data, xs},
                                 .dy = {y.data, xs},
                                 .w = {w.data, ws},
                                 .slots = slots,
                                 .slot_count = maker.kernel().slot_count,
                                 .rows = rows,
                                 .out = out,
                                 .k_begin = 0,
                                 .k_end = in,
                                 .first_panel = 0,
                                 .last_panel = panel_count(out),
                                 .step = densa::step_of<T>(maker.kernel()),
                                 .numbers = &numbers});
          }));
  }
  std::printf("\n");
}

template <class T>
void run_all() {
  std::printf("level %s, %zu-byte numbers; share of one core's peak\n",
              densa::dense_kernels<T>().level, sizeof(T));
  const std::int64_t shapes[][3] = {
      {1, 784, 300},  {2, 784, 300},   {4, 784, 300},    {8, 784, 300},   {32, 784, 300},
      {32, 300, 100}, {32, 100, 10},   {128, 784, 300},  {512, 784, 300}, {64, 100, 100},
      {64, 17, 64},   {64, 3072, 100}, {256, 1024, 1024}};
  for (const auto& s : shapes) run<T>(s[0], s[1], s[2]);
}

// Steps over 10 million parameters, one thread: bytes moved per second, beside a copy's.
template <class T>
void run_steps() {
  constexpr std::int64_t kCount = 10'000'000;
  Buffer<T> w(kCount), g(kCount), s0(kCount), s1(kCount), s2(kCount);
  T* const slots[] = {s0.data, s1.data, s2.data};
  const auto best = [](const auto& body) {
    double least = 1e9;
    for (int i = 0; i < 7; ++i) {
      const auto start = Clock::now();
      body();
      least = std::min(least, seconds(start));
    }
    return least;
  };
  const double size = static_cast<double>(kCount * sizeof(T));
  const double copy = 2 * size / best([&] { std::memcpy(s2.data, g.data, kCount * sizeof(T)); });
  std::printf("copy %.1f GB/s\n", copy * 1e-9);
  for (std::int64_t i = 0; i < kCount; ++i) s1.data[i] = s2.data[i] = s0.data[i] = T(0.25);
  for (const char* kind :
       {"sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "adamax", "nadam", "lion"}) {
    densa::StepMaker maker(kind, {});
    const densa::StepNumbers<T> numbers = maker.numbers<T>(10, 1e-4);
    const double time =
        best([&] { densa::step_of<T>(maker.kernel())(w.data, g.data, slots, kCount, numbers); });
    const double moved = size * (3 + 2 * maker.kernel().slot_count) / time;
    std::printf("  %-9s %6.2f ms %5.1f GB/s %5.1f%% of copy\n", kind, time * 1e3, moved * 1e-9,
                100 * moved / copy);
  }
}

}  // namespace

int main(int argc, char** argv) {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);  // denormals are zero, as in a training plan
#endif
  if (argc > 1 && std::strcmp(argv[1], "float64") == 0) {
    run_all<double>();
    run_steps<double>();
  } else {
    run_all<float>();
    run_steps<float>();
  }
}
