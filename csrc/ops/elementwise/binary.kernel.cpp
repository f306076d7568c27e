// Loops over two operands. The step of each operand is chosen outside the loop.
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/formula.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

inline constexpr std::size_t kRow = 16;

// One operand: where its vector for results [i, i + kLanes) comes from.
template <class T, Step kStep>
struct Operand {
  const T* p;
  Vec<T> same;
  explicit DENSA_ALWAYS_INLINE Operand(const T* from) : p(from), same() {
    if constexpr (kStep == Step::kScalar) same = broadcast(*from);
  }
  DENSA_ALWAYS_INLINE Vec<T> whole(std::size_t i) const {
    if constexpr (kStep == Step::kScalar) return same;
    if constexpr (kStep == Step::kRow16) return load(p + i % kRow);
    return load(p + i);
  }
  DENSA_ALWAYS_INLINE Vec<T> part(std::size_t i, std::size_t m) const {
    if constexpr (kStep == Step::kScalar) return same;
    if constexpr (kStep == Step::kRow16) return load_part(p + i % kRow, m);
    return load_part(p + i, m);
  }
};

template <class T, class F, Step kA, Step kB>
void loop(T* dst, const T* a, const T* b, std::size_t n) {
  const Operand<T, kA> left(a);
  const Operand<T, kB> right(b);
  const F f;
  std::size_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store(dst + i, f.value(left.whole(i), right.whole(i)));
  if (i < n) store_part(dst + i, f.value(left.part(i, n - i), right.part(i, n - i)), n - i);
}

template <class T, class F>
void pair(T* dst, const T* a, const T* b, std::size_t n, Step step_a, Step step_b) {
  if (n == 0) return;
  if (step_a == Step::kEach) {
    if (step_b == Step::kEach) return loop<T, F, Step::kEach, Step::kEach>(dst, a, b, n);
    if (step_b == Step::kScalar) return loop<T, F, Step::kEach, Step::kScalar>(dst, a, b, n);
    return loop<T, F, Step::kEach, Step::kRow16>(dst, a, b, n);
  }
  if (step_a == Step::kScalar) {
    if (step_b == Step::kEach) return loop<T, F, Step::kScalar, Step::kEach>(dst, a, b, n);
    if (step_b == Step::kScalar) return loop<T, F, Step::kScalar, Step::kScalar>(dst, a, b, n);
    return loop<T, F, Step::kScalar, Step::kRow16>(dst, a, b, n);
  }
  if (step_b == Step::kEach) return loop<T, F, Step::kRow16, Step::kEach>(dst, a, b, n);
  if (step_b == Step::kScalar) return loop<T, F, Step::kRow16, Step::kScalar>(dst, a, b, n);
  return loop<T, F, Step::kRow16, Step::kRow16>(dst, a, b, n);
}

constinit const BinaryKernel kKernels[] = {
#define DENSA_BINARY(name, F, doc) {#name, &pair<float, F>, &pair<double, F>},
#include "ops/elementwise/list.inc"
};

}  // namespace

extern const BinaryTable binary_kernels;
constinit const BinaryTable binary_kernels = {kKernels, sizeof kKernels / sizeof kKernels[0]};

}  // namespace densa::inline DENSA_ISA
