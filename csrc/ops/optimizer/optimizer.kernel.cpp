// One pass over w, g and the slots per step: memory speed for whole arenas, L1 speed for the blocks
// of a weight gradient.
#include "ops/optimizer/optimizer.h"
#include "ops/optimizer/formula.h"
#include "ops/optimizer/parts.h"
#include "ops/optimizer/step_lanes.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class F, bool kDecay, class T>
DENSA_ALWAYS_INLINE void run(T* __restrict w, const T* __restrict g, T* const* slots,
                             std::ptrdiff_t n, const StepNumbers<T>& numbers) {
  using V = Vec<T>;
  constexpr std::ptrdiff_t kWide = kLanes<T>;
  const Lanes<V> c = lanes_of<V>(numbers);
  T* s[F::kSlots + 1];
  V v[F::kSlots + 1];
  for (int i = 0; i < F::kSlots; ++i) s[i] = slots[i];
  std::ptrdiff_t i = 0;
  for (; i + kWide <= n; i += kWide) {
    V weight = load(w + i);
#pragma GCC unroll 3
    for (int j = 0; j < F::kSlots; ++j) v[j] = load(s[j] + i);
    step_lanes<F>(weight, load(g + i), v, c, kDecay);
#pragma GCC unroll 3
    for (int j = 0; j < F::kSlots; ++j) store(s[j] + i, v[j]);
    store(w + i, weight);
  }
  if (i < n) {
    const std::size_t rest = static_cast<std::size_t>(n - i);
    V weight = load_part(w + i, rest);
#pragma GCC unroll 3
    for (int j = 0; j < F::kSlots; ++j) v[j] = load_part(s[j] + i, rest);
    step_lanes<F>(weight, load_part(g + i, rest), v, c, kDecay);
#pragma GCC unroll 3
    for (int j = 0; j < F::kSlots; ++j) store_part(s[j] + i, v[j], rest);
    store_part(w + i, weight, rest);
  }
}

template <class F, class T>
void step(T* w, const T* g, T* const* slots, std::ptrdiff_t n, const StepNumbers<T>& numbers) {
  if (numbers.decay != 0) {
    run<F, true>(w, g, slots, n, numbers);
  } else {
    run<F, false>(w, g, slots, n, numbers);
  }
}

// Sixteen chains, element i in chain i mod 16, joined by halves; products are rounded, not fused.
template <class T>
double squares(const T* g, std::ptrdiff_t n) {
  using V = Vec<double>;
  constexpr int kWide = static_cast<int>(kLanes<double>);
  constexpr int kVecs = 16 / kWide;
  V chain[kVecs] = {};
  std::ptrdiff_t i = 0;
  for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      const V v = load_as<V>(g + i + j * kWide);
      chain[j] += v * v;
    }
  }
  alignas(64) double all[16];
  for (int j = 0; j < kVecs; ++j) store(all + j * kWide, chain[j]);
  for (int j = 0; i + j < n; ++j) {
    const double v = static_cast<double>(g[i + j]);
    all[j] += v * v;
  }
  for (int half = 8; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) all[j] += all[j + half];
  return all[0];
}

}  // namespace

extern const OptimizerTable optimizer_table;
constinit const OptimizerTable optimizer_table = {
    {
#define DENSA_OPTIMIZER(name, Formula, ...) \
  {#name, Formula::kSlots, {__VA_ARGS__}, &step<Formula, float>, &step<Formula, double>},
#include "ops/optimizer/list.inc"
#undef DENSA_OPTIMIZER
    },
    &squares<float>,
    &squares<double>,
};

}  // namespace densa::inline DENSA_ISA
