// The functions of simd/math.h on one CPU level against the C library in a wider type, in ulp.
//
// g++ -std=c++20 -O3 -ffp-contract=off -Wall -Wextra -Icsrc -DDENSA_ISA=v3 -march=x86-64-v3
//     tests/native/simd_math.cpp csrc/simd/cpu_level.cpp -o simd_math && ./simd_math [stride]
//
// float32 walks through all 2^32 bit patterns with the given stride (997 if none is given; 1 is
// the exhaustive run), float64 through as many; both also visit specials and the neighbours of
// every power of two and of the places where a formula changes. Every lane must have the bits that
// the scalar form gives.
#include "simd/cpu_level.h"
#include "simd/math.h"

#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

namespace {

using densa::kLanes, densa::Vec;

int failures = 0;

// |got - want| in units of the last place that `want` has as a T; infinity counts as the number
// that would follow the largest one.
template <class T, class Wide>
double ulps(T got, Wide want) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : 1e30;
  const Wide beyond = std::ldexp(Wide(1), std::numeric_limits<T>::max_exponent);
  Wide g = got;
  if (std::isinf(got)) g = got > 0 ? beyond : -beyond;
  if (want > beyond) want = beyond;
  if (want < -beyond) want = -beyond;
  if (want == 0) {
    // a zero has a sign, which must be right
    if (g == 0) return std::signbit(got) == std::signbit(want) ? 0 : 1e30;
    return double(std::fabs(g) / std::numeric_limits<T>::denorm_min());
  }
  int exponent;
  std::frexp(want, &exponent);
  const int least = std::numeric_limits<T>::min_exponent;
  if (exponent < least) exponent = least;
  if (exponent > std::numeric_limits<T>::max_exponent) --exponent;
  const Wide unit = std::ldexp(Wide(1), exponent - std::numeric_limits<T>::digits);
  return double(std::fabs(g - want) / unit);
}

struct Worst {
  double ulp = 0, at = 0, got = 0, want = 0;
  long differ = 0;  // lanes whose bits are not the scalar's
};

namespace function {

#define FUNCTION(name, reference) \
  struct name {                   \
    template <class V>            \
    static V value(V x) {         \
      return densa::name(x);      \
    }                             \
    template <class W>            \
    static W exact(W x) {         \
      return reference;           \
    }                             \
  };
FUNCTION(exp, std::exp(x))
FUNCTION(expm1, std::expm1(x))
FUNCTION(log, std::log(x))
FUNCTION(log1p, std::log1p(x))
FUNCTION(sigmoid, x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)))
FUNCTION(tanh, std::tanh(x))
FUNCTION(erf, std::erf(x))
FUNCTION(softplus, (x > 0 ? x : x != x ? x : 0) + std::log1p(std::exp(-std::fabs(x))))
FUNCTION(sin, std::sin(x))
FUNCTION(cos, std::cos(x))
#undef FUNCTION

}  // namespace function

template <class F, class T, class Wide>
void visit(const std::vector<T>& x, Worst& worst) {
  constexpr std::size_t kWide = kLanes<T>;
  T in[kWide], out[kWide];
  for (std::size_t start = 0; start < x.size(); start += kWide) {
    for (std::size_t i = 0; i < kWide; ++i) in[i] = x[start + i < x.size() ? start + i : start];
    densa::store(out, F::value(densa::load(in)));
    for (std::size_t i = 0; i < kWide; ++i) {
      const T alone = F::value(in[i]);
      if (std::memcmp(&alone, &out[i], sizeof alone) != 0 &&
          !(alone != alone && out[i] != out[i])) {
        if (!worst.differ++) std::printf("  lane and scalar differ at %a\n", double(in[i]));
      }
      const Wide want = F::exact(static_cast<Wide>(in[i]));
      const double ulp = ulps(out[i], want);
      if (ulp > worst.ulp) worst = {ulp, double(in[i]), double(out[i]), double(want), worst.differ};
    }
  }
}

template <class T>
std::vector<T> special_points() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> points = {
      T(0),          Limits::infinity(), Limits::quiet_NaN(), Limits::denorm_min(),
      Limits::min(), Limits::max(),      Limits::epsilon()};
  std::vector<double> near = {0.92,     3.92,       3.95,       9.01,       9.1,        19.06,
                              19.2,     18,         17.3286,    38,         88.72283,   88.3763,
                              87.3365,  103.2789,   103.9721,   104,        709.7827,   708.3964,
                              745.1332, 746,        0.41421356, 0.70710678, 1.41421356, 1e6,
                              1,        0.34657359, 0.69314718};
  for (int quarter = 1; quarter < 400; ++quarter) near.push_back(quarter * 0.78539816339744831);
  for (int k = 1; k < 140; ++k) near.push_back((k - 0.5) * 0.34657359027997264);
  for (int e = Limits::min_exponent - Limits::digits; e < Limits::max_exponent; ++e)
    near.push_back(std::ldexp(1.0, e));
  for (double centre : near) {
    T up = T(centre), down = up;
    for (int i = 0; i < 40; ++i) {
      points.push_back(up);
      points.push_back(down);
      up = std::nextafter(up, Limits::infinity());
      down = std::nextafter(down, T(0));
    }
  }
  const std::size_t count = points.size();
  for (std::size_t i = 0; i < count; ++i) points.push_back(-points[i]);
  return points;
}

template <class T, class Bits>
T from_bits(Bits b) {
  T x;
  std::memcpy(&x, &b, sizeof x);
  return x;
}

template <class F>
void test_function(const char* name, double bound32, double bound64, std::uint64_t stride) {
  Worst worst32, worst64;
  std::vector<float> x32;
  for (std::uint64_t b = 0; b < (std::uint64_t{1} << 32);) {
    x32.clear();
    for (int i = 0; i < 4096 && b < (std::uint64_t{1} << 32); ++i, b += stride)
      x32.push_back(from_bits<float>(static_cast<std::uint32_t>(b)));
    visit<F, float, double>(x32, worst32);
  }
  visit<F, float, double>(special_points<float>(), worst32);

  // The upper half of a float64 walks, the lower half comes from a Weyl sequence.
  std::vector<double> x64;
  std::uint64_t low = 0;
  for (std::uint64_t high = 0; high < (std::uint64_t{1} << 32);) {
    x64.clear();
    for (int i = 0; i < 4096 && high < (std::uint64_t{1} << 32); ++i, high += stride * 8) {
      low += 0x9e3779b97f4a7c15u;
      x64.push_back(from_bits<double>(high << 32 | low >> 32));
    }
    visit<F, double, long double>(x64, worst64);
  }
  // Numbers of moderate size, where every function has its shape.
  for (int i = 0; i < 200000; i += 4096) {
    x64.clear();
    for (int k = i; k < i + 4096; ++k) x64.push_back((k - 100000) * 2.3456789e-4);
    visit<F, double, long double>(x64, worst64);
  }
  visit<F, double, long double>(special_points<double>(), worst64);

  const bool wide_enough = LDBL_MANT_DIG > DBL_MANT_DIG;
  const bool good = worst32.ulp <= bound32 && (worst64.ulp <= bound64 || !wide_enough) &&
                    !worst32.differ && !worst64.differ;
  std::printf(
      "%-8s float32 %5.3f ulp (bound %g) at %-14a "
      "float64 %5.3f ulp (bound %g) at %-21a %s\n",
      name, worst32.ulp, bound32, worst32.at, worst64.ulp, bound64, worst64.at,
      good ? "" : "FAILED");
  if (worst32.ulp > bound32) std::printf("  got %a, exactly %a\n", worst32.got, worst32.want);
  if (worst64.ulp > bound64) std::printf("  got %a, nearly %a\n", worst64.got, worst64.want);
  failures += !good;
}

void test_pow(double bound) {
  const float values[] = {0.0f,   -0.0f, 1,    -1,   2,   -2,      0.5f,     3,         -3,
                          1e-40f, 1e30f, 0.1f, 2.5f, 127, -126.5f, INFINITY, -INFINITY, NAN};
  double worst = 0;
  for (float x : values) {
    for (float y : values) {
      const Vec<float> z = densa::pow(densa::broadcast(x), densa::broadcast(y));
      for (std::size_t i = 0; i < kLanes<float>; ++i)
        worst = std::fmax(worst, ulps(float(z[i]), std::pow(double(x), double(y))));
    }
  }
  for (int i = 1; i < 100000; ++i) {
    const float x = i * 1.7e-3f, y = (i % 977 - 488) * 0.031f;
    worst = std::fmax(worst, ulps(densa::pow(x, y), std::pow(double(x), double(y))));
  }
  std::printf("pow      float32 %5.3f ulp (bound %g) %s\n", worst, bound,
              worst <= bound ? "" : "FAILED");
  failures += !(worst <= bound);
}

}  // namespace

int main(int count, char** words) {
  if (densa::detected_cpu_level() < densa::CpuLevel::DENSA_ISA) {
    std::puts("skipped: this machine does not run this level");
    return 77;
  }
  const std::uint64_t stride = count > 1 ? std::strtoull(words[1], nullptr, 10) : 997;
  if (!stride) return std::puts("the stride must be a positive number"), 1;
  std::printf("simd_math, %zu-byte vectors, stride %llu\n", densa::kVectorBytes,
              static_cast<unsigned long long>(stride));
  test_function<function::exp>("exp", 2, 4, stride);
  test_function<function::expm1>("expm1", 2, 4, stride);
  test_function<function::log>("log", 2, 4, stride);
  test_function<function::log1p>("log1p", 2, 4, stride);
  test_function<function::sigmoid>("sigmoid", 2, 4, stride);
  test_function<function::tanh>("tanh", 2, 4, stride);
  test_function<function::erf>("erf", 2, 4, stride);
  test_function<function::softplus>("softplus", 2, 4, stride);
  test_function<function::sin>("sin", 1, 4, stride);
  test_function<function::cos>("cos", 1, 4, stride);
  test_pow(2);
  return failures ? 1 : 0;
}
