// Lanes on one CPU level: partial access with canaries, folds, select, rounding, transpose, gather.
//
// g++ -std=c++20 -O3 -ffp-contract=off -Wall -Wextra -Icsrc -DDENSA_ISA=v3 -march=x86-64-v3
//     tests/native/simd_lanes.cpp csrc/simd/cpu_level.cpp -o simd_lanes && ./simd_lanes
#include "simd/cpu_level.h"
#include "simd/lanes.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

namespace {

int failures = 0;

void check(bool good, const char* what, int line) {
  if (!good && ++failures <= 20) std::printf("line %d: %s\n", line, what);
}
#define CHECK(condition) check(condition, #condition, __LINE__)

using densa::Element, densa::kLanes, densa::lane, densa::Vec;

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

template <class T>
void test_memory() {
  constexpr std::size_t kWide = kLanes<T>;
  constexpr T kCanary = T(77);
  for (std::size_t offset = 0; offset < 3; ++offset) {
    for (std::size_t n = 0; n <= kWide; ++n) {
      std::vector<T> from(kWide * 3, kCanary), to(kWide * 3, kCanary);
      for (std::size_t i = 0; i < kWide; ++i) from[kWide + offset + i] = T(i + 1);
      const Vec<T> v = densa::load_part(&from[kWide + offset], n);
      for (std::size_t i = 0; i < kWide; ++i) CHECK(v[i] == (i < n ? T(i + 1) : T(0)));
      densa::store_part(&to[kWide + offset], densa::load(&from[kWide + offset]), n);
      for (std::size_t i = 0; i < to.size(); ++i) {
        const std::size_t k = i - kWide - offset;
        CHECK(to[i] == (i >= kWide + offset && k < n ? T(k + 1) : kCanary));
      }
    }
    // Memory that ends right behind the last lane: the address sanitizer sees any touch past it.
    for (std::size_t n = 1; n <= kWide; ++n) {
      std::vector<T> exact(n, T(3));
      densa::store_part(exact.data(), densa::load_part(exact.data(), n), n);
      CHECK(exact[n - 1] == T(3));
    }
  }
}

template <class T>
void test_arithmetic() {
  using V = Vec<T>;
  constexpr std::size_t kWide = kLanes<T>;
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  const T values[] = {T(0),    T(-0.0), T(1), T(-1), T(0.5), T(1.5),  T(-2.5), T(1e-30),
                      T(3e30), inf,     -inf, nan,   T(2.5), T(-0.3), T(7.75), T(1) / 3};
  for (T a : values) {
    for (T b : values) {
      const V va = lane<V>(a), vb = lane<V>(b);
      const auto check_pair = [](V vector, T scalar) {
        for (std::size_t i = 0; i < kWide; ++i) {
          CHECK(same_bits(T(vector[i]), scalar) || (vector[i] != vector[i] && scalar != scalar));
        }
      };
      check_pair(densa::maximum(va, vb), densa::maximum(a, b));
      check_pair(densa::minimum(va, vb), densa::minimum(a, b));
      check_pair(densa::max_fast(va, vb), densa::max_fast(a, b));
      check_pair(densa::min_fast(va, vb), densa::min_fast(a, b));
      check_pair(densa::mul_add(va, vb, va), densa::mul_add(a, b, a));
      check_pair(densa::select(va < vb, va, vb), densa::select(a < b, a, b));
      check_pair(densa::copy_sign(va, vb), std::copysign(a, b));
      CHECK(std::isnan(densa::maximum(a, b)) == (std::isnan(a) || std::isnan(b)));
      CHECK(std::isnan(densa::minimum(a, b)) == (std::isnan(a) || std::isnan(b)));
      if (a < b) CHECK(densa::maximum(a, b) == b && densa::minimum(a, b) == a);
    }
    const V v = lane<V>(a);
    const auto check_one = [](V vector, T scalar, T expected) {
      for (std::size_t i = 0; i < kWide; ++i) {
        CHECK(same_bits(T(vector[i]), scalar) || (vector[i] != vector[i] && scalar != scalar));
      }
      CHECK(same_bits(scalar, expected) || (scalar != scalar && expected != expected));
    };
    check_one(v, a, a);
    check_one(densa::abs(v), densa::abs(a), std::fabs(a));
    check_one(densa::sqrt(v), densa::sqrt(a), std::sqrt(a));
    check_one(densa::round_even(v), densa::round_even(a), std::nearbyint(a));
    check_one(densa::floor(v), densa::floor(a), std::floor(a));
    check_one(densa::trunc(v), densa::trunc(a), std::trunc(a));
    check_one(densa::from_bits<V>(densa::bits(v)), densa::from_bits<T>(densa::bits(a)), a);
  }
  if (densa::kFusedMulAdd) {
    const T tiny = std::numeric_limits<T>::epsilon();
    CHECK(densa::mul_add(T(1) + tiny, T(1) - tiny, T(-1)) == -tiny * tiny);
  }
}

template <class T>
void test_folds() {
  constexpr std::size_t kWide = kLanes<T>;
  T lanes[kWide];
  for (std::size_t i = 0; i < kWide; ++i) lanes[i] = std::sin(T(i) * 3 + 1) * std::exp(T(i % 5));
  T tree[kWide], largest = lanes[0], least = lanes[0];
  std::memcpy(tree, lanes, sizeof lanes);
  for (std::size_t half = kWide / 2; half; half /= 2)
    for (std::size_t i = 0; i < half; ++i) tree[i] += tree[i + half];
  for (T x : lanes) largest = std::fmax(largest, x), least = std::fmin(least, x);
  CHECK(same_bits(densa::sum(densa::load(lanes)), tree[0]));
  CHECK(densa::max(densa::load(lanes)) == largest);
  CHECK(densa::min(densa::load(lanes)) == least);
  CHECK(densa::sum(lanes[0]) == lanes[0] && densa::max(lanes[0]) == lanes[0]);
  for (std::size_t i = 0; i < kWide; ++i) {
    T with_nan[kWide];
    std::memcpy(with_nan, lanes, sizeof lanes);
    with_nan[i] = std::numeric_limits<T>::quiet_NaN();
    CHECK(std::isnan(densa::max(densa::load(with_nan))));
    CHECK(std::isnan(densa::min(densa::load(with_nan))));
  }
}

template <class T>
void test_conversions() {
  using V = Vec<T>;
  using I = densa::IntOf<T>;
  T lanes[kLanes<T>];
  std::uint8_t bytes[kLanes<T>];
  std::int8_t signed_bytes[kLanes<T>];
  for (std::size_t i = 0; i < kLanes<T>; ++i) {
    lanes[i] = T(i) * T(-1.75) + 3;
    bytes[i] = 250 - i;
    signed_bytes[i] = i % 2 == 0 ? -128 + i : 127 - i;
  }
  const Vec<I> whole = densa::convert<Vec<I>>(densa::load(lanes));
  const V back = densa::convert<V>(whole);
  const V widened = densa::load_as<V>(bytes), widened_signed = densa::load_as<V>(signed_bytes);
  for (std::size_t i = 0; i < kLanes<T>; ++i) {
    CHECK(whole[i] == densa::convert<I>(lanes[i]));
    CHECK(back[i] == std::trunc(lanes[i]));
    CHECK(widened[i] == T(bytes[i]) && densa::load_as<T>(bytes + i) == T(bytes[i]));
    CHECK(widened_signed[i] == T(signed_bytes[i]));
  }
}

template <class T>
void test_transpose() {
  constexpr std::ptrdiff_t kFrom = 19, kTo = 17;
  std::vector<T> from(16 * kFrom + 1, T(-1)), to(16 * kTo + 1, T(-1));
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) from[i * kFrom + j + 1] = T(100 * i + j);
  densa::transpose16(&from[1], kFrom, &to[1], kTo);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) CHECK(to[j * kTo + i + 1] == T(100 * i + j));
  for (int j = 0; j < 16; ++j) CHECK(to[j * kTo] == T(-1));
  CHECK(to[16 * kTo] == T(-1));
}

template <class T>
void test_gather() {
  std::vector<T> from(500);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = T(i) + T(0.5);
  densa::IntOf<Vec<T>> at{};
  for (std::size_t l = 0; l < kLanes<T>; ++l)
    at[l] = static_cast<densa::IntOf<T>>(37 * l * l % 400) - 100;
  const Vec<T> got = densa::gather(from.data() + 100, at);
  for (std::size_t l = 0; l < kLanes<T>; ++l)
    CHECK(got[l] == from[static_cast<std::size_t>(at[l] + 100)]);
}

}  // namespace

int main() {
  if (densa::detected_cpu_level() < densa::CpuLevel::DENSA_ISA) {
    std::puts("skipped: this machine does not run this level");
    return 77;
  }
  test_memory<float>();
  test_memory<double>();
  test_memory<std::int32_t>();
  test_memory<std::int64_t>();
  test_arithmetic<float>();
  test_arithmetic<double>();
  test_folds<float>();
  test_folds<double>();
  test_conversions<float>();
  test_conversions<double>();
  test_transpose<float>();
  test_transpose<double>();
  test_gather<float>();
  test_gather<double>();
  std::printf("simd_lanes, %zu-byte vectors: %s\n", densa::kVectorBytes,
              failures ? "FAILED" : "passed");
  return failures ? 1 : 0;
}
