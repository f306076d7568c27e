// affine_transform's rows on every CPU level against formula.h, number by number: the same bits for
// shapes, maps, fills and layouts of all kinds, rows in parts, nothing written beside them.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernel_levels.h"
#include "ops/affine_transform/sample.h"

DENSA_DECLARE_TABLES(extern const AffineKernels affine_kernels;)

namespace {

constexpr double kGuard = 777;

std::mt19937 source(7);

int whole(int low, int high) {
  return low + static_cast<int>(source() % static_cast<unsigned>(high - low + 1));
}

double normal() { return std::normal_distribution<double>()(source); }

template <bool kBilinear, class T>
void plain_row(const densa::AffineRows<T>& rows, std::int64_t row) {
  const densa::AffineCall& a = rows.call;
  const std::int64_t image = row / a.new_height, step = a.pixel_step();
  const auto y = static_cast<std::int32_t>(row % a.new_height);
  const densa::AffineLine<T> line = densa::line_of(rows.transforms + 6 * image, y);
  const T* x = rows.x + image * a.pixels() * a.channels;
  T* made = rows.y + image * a.new_pixels() * a.channels;
  for (std::int32_t column = 0; column < a.new_width; ++column) {
    const auto taps = densa::taps_of<kBilinear>(a, line, column);
    const std::int64_t at = (std::int64_t{y} * a.new_width + column) * step;
    for (std::int64_t c = 0; c < a.channels; ++c) {
      T sum = T(0);
      for (int k = 0; k < taps.kCount; ++k)
        sum += taps.weight[k] * (taps.at[k] < 0
                                     ? static_cast<T>(a.fill_value)
                                     : x[taps.at[k] * step + c * a.channel_step(a.pixels())]);
      made[at + c * a.channel_step(a.new_pixels())] = sum;
    }
  }
}

densa::AffineCall any_call(int trial) {
  densa::AffineCall a;
  a.images = whole(1, 3);
  a.channels = trial % 7 == 0 ? whole(1, 40) : whole(1, 4);
  a.height = whole(1, 12), a.width = whole(1, 40);
  a.new_height = whole(1, 9), a.new_width = trial % 40 == 0 ? whole(250, 600) : whole(1, 40);
  a.channels_first = whole(0, 1) == 0;
  a.fill = static_cast<densa::Fill>(whole(0, 3));
  a.fill_value = 0.75;
  return a;
}

// A map near the identity: of any kind, along the sides alone, whole shifts and flips among them.
std::vector<double> any_map(int trial, int width) {
  const double base[6] = {1, 0, 0.3, 0, 1, -0.2}, far[3] = {1, 3, 20};
  std::vector<double> m(base, base + 6);
  for (std::size_t k = 0; k < 6; ++k) m[k] += normal() * 0.5 * (k % 3 == 2 ? far[trial % 3] : 1);
  if (trial % 2 == 1) m[1] = m[3] = trial % 10 == 1 ? -0.0 : 0;
  if (trial % 4 == 1) m[0] = whole(0, 1) == 0 ? 1 : -1, m[4] = 1;
  for (double& v : m) v = trial % 5 == 0 ? std::round(2 * v) / 2 : v;
  if (trial % 11 == 0) {
    const double huge = std::numeric_limits<double>::infinity();
    const double odd[] = {std::nan(""), huge,  -huge, 1e20,  -1e20,           1e9,
                          -1e9,         3e38,  -3e38, -0.0,  double(width),   -double(width),
                          2.0 * width,  1e-40, 0.5,   -0.75, 2.0 * width - 1, 1};
    m[static_cast<std::size_t>(whole(0, 5))] = odd[whole(0, 17)];
  }
  return m;
}

template <class T>
void check(const char* level, void (*run)(const densa::AffineRows<T>&), int trial) {
  densa::AffineRows<T> rows;
  rows.call = any_call(trial);
  const densa::AffineCall& a = rows.call;
  rows.bilinear = whole(0, 2) > 0;
  rows.plain = rows.bilinear ? &plain_row<true, T> : &plain_row<false, T>;
  std::vector<T> x(static_cast<std::size_t>(a.images * a.pixels() * a.channels)), transforms;
  for (T& v : x) v = static_cast<T>(trial % 50 == 0 && whole(0, 4) == 0 ? -0.0 : normal());
  for (std::int64_t image = 0; image < a.images; ++image)
    for (const double v : any_map(trial, a.width)) transforms.push_back(static_cast<T>(v));
  std::vector<T> wanted(static_cast<std::size_t>(a.images * a.new_pixels() * a.channels) + 16,
                        T(kGuard));
  std::vector<T> made = wanted;
  rows.x = x.data(), rows.transforms = transforms.data();
  const std::int64_t all = a.images * a.new_height;
  rows.begin = whole(0, static_cast<int>(all) - 1);
  rows.end = whole(static_cast<int>(rows.begin), static_cast<int>(all));
  rows.y = wanted.data();
  for (std::int64_t row = rows.begin; row < rows.end; ++row) rows.plain(rows, row);
  rows.y = made.data();
  run(rows);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool same = std::memcmp(&wanted[i], &made[i], sizeof(T)) == 0 ||
                      (std::isnan(wanted[i]) && std::isnan(made[i]));
    CHECK(same, "%s, trial %d: number %zu is %g, not %g\n", level, trial, i, double(made[i]),
          double(wanted[i]));
  }
}

template <class T>
void check_all(const char* level, void (*run)(const densa::AffineRows<T>&)) {
  for (int trial = 0; trial < 2000; ++trial) check(level, run, trial);
}

}  // namespace

int main() {
#define RUN(level)                                            \
  check_all<float>(#level, densa::level::affine_kernels.f32); \
  check_all<double>(#level, densa::level::affine_kernels.f64);
  DENSA_EACH_LEVEL(RUN)
  return failures == 0 ? 0 : 1;
}
