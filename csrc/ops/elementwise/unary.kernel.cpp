// Loops over one operand: each formula of list.inc becomes four functions per element type.
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/formula.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

// Whole vectors, then one part of a vector: f(count) works on `count` lanes at offset i.
template <class T, class Whole, class Part>
DENSA_ALWAYS_INLINE void each(std::size_t n, const Whole& whole, const Part& part) {
  std::size_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) whole(i);
  if (i < n) part(i, n - i);
}

template <class F>
DENSA_ALWAYS_INLINE F make(const double* params) {
  if constexpr (__is_empty(F)) {
    return F{};
  } else {
    return F{{}, params[0]};
  }
}

template <class T, class F>
void value(T* y, const T* z, std::size_t n, const double* params) {
  const F f = make<F>(params);
  each<T>(
      n, [&](std::size_t i) __attribute__((always_inline)) { store(y + i, f.value(load(z + i))); },
      [&](std::size_t i, std::size_t m)
          __attribute__((always_inline)) { store_part(y + i, f.value(load_part(z + i, m)), m); });
}

template <class T, class F>
void slope(T* dx, const T* dy, const T* saved, std::size_t n, const double* params) {
  const F f = make<F>(params);
  each<T>(
      n,
      [&](std::size_t i) __attribute__((always_inline)) {
        store(dx + i, load(dy + i) * f.slope(load(saved + i)));
      },
      [&](std::size_t i, std::size_t m) __attribute__((always_inline)) {
        store_part(dx + i, load_part(dy + i, m) * f.slope(load_part(saved + i, m)), m);
      });
}

template <class T, class F>
void curve(T* dx, const T* dy, const T* saved, std::size_t n, const double* params) {
  const F f = make<F>(params);
  each<T>(
      n,
      [&](std::size_t i) __attribute__((always_inline)) {
        store(dx + i, load(dy + i) * f.curve(load(saved + i)));
      },
      [&](std::size_t i, std::size_t m) __attribute__((always_inline)) {
        store_part(dx + i, load_part(dy + i, m) * f.curve(load_part(saved + i, m)), m);
      });
}

template <class T, class F>
void value_and_slope(T* y, T* s, const T* z, std::size_t n, const double* params) {
  const F f = make<F>(params);
  each<T>(
      n,
      [&](std::size_t i) __attribute__((always_inline)) {
        Vec<T> yv, sv;
        both(f, load(z + i), yv, sv);
        store(y + i, yv);
        store(s + i, sv);
      },
      [&](std::size_t i, std::size_t m) __attribute__((always_inline)) {
        Vec<T> yv, sv;
        both(f, load_part(z + i, m), yv, sv);
        store_part(y + i, yv, m);
        store_part(s + i, sv, m);
      });
}

template <class T, class F>
constexpr UnaryFns<T> fns() {
  if constexpr (F::kSaved == Saved::kNone) {
    return {&value<T, F>, nullptr, nullptr, nullptr};
  } else {
    return {&value<T, F>, &slope<T, F>, &value_and_slope<T, F>, &curve<T, F>};
  }
}

constinit const UnaryKernel kKernels[] = {
#define DENSA_UNARY(name, F, doc) {#name, F::kSaved, nullptr, 0, fns<float, F>(), fns<double, F>()},
#define DENSA_UNARY_WITH(name, F, attribute, missing, doc) \
  {#name, F::kSaved, attribute, missing, fns<float, F>(), fns<double, F>()},
#include "ops/elementwise/list.inc"
};

}  // namespace

extern const UnaryTable unary_kernels;
constinit const UnaryTable unary_kernels = {kKernels, sizeof kKernels / sizeof kKernels[0]};

}  // namespace densa::inline DENSA_ISA
