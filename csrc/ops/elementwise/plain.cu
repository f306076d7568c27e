// Comparisons, logic and tests on a GPU: one kernel per element type, which is told the op. The
// arithmetic of plain.h has a kernel per op.
#include "ops/elementwise/plain.h"

#include "cuda/strided.h"
#include "ops/elementwise/device.h"

namespace densa::inline DENSA_ISA {
namespace {

using namespace elementwise;

enum PlainIndex : int {
#define DENSA_INDEX(name, F, kind, grad) k_##name,
  DENSA_PLAIN_BINARY(DENSA_INDEX)
#undef DENSA_INDEX
#define DENSA_INDEX(name, F) k_##name,
      DENSA_PLAIN_UNARY(DENSA_INDEX)
#undef DENSA_INDEX
};

struct Question {
  PlainIndex index;
  template <class T>
  __device__ bool operator()(T a, T b) const {
    switch (index) {
#define DENSA_CASE(name, F, kind, grad) \
  case k_##name: return static_cast<bool>(F::of(a, b));
      DENSA_PLAIN_QUESTIONS(DENSA_CASE)
#undef DENSA_CASE
      default: return false;
    }
  }
  template <class T>
  __device__ bool operator()(T a) const {
    switch (index) {
#define DENSA_CASE(name, F) \
  case k_##name: return F::of(a);
      DENSA_PLAIN_UNARY(DENSA_CASE)
#undef DENSA_CASE
      default: return false;
    }
  }
};

template <class F>
struct Value {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return F::of(a, b);
  }
};

enum class Kind : std::uint8_t { kCompare, kLogic, kArithmetic, kFloat };

template <class F, Kind kKind, PlainIndex kIndex>
void binary(const DeviceCall& call) {
  const View &y = call.out[0], &a = call.in[0], &b = call.in[1];
  visit_dtype(a.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (kKind == Kind::kCompare || kKind == Kind::kLogic) {
      launch_map<bool, T, T>(call.stream, Question{kIndex}, y, a, b);
    } else if constexpr (kKind == Kind::kArithmetic || std::is_floating_point_v<T>) {
      launch_map<T, T, T>(call.stream, Value<F>{}, y, a, b);
    }
  });
}

template <PlainIndex kIndex>
void unary(const DeviceCall& call) {
  visit_dtype(call.in[0].dtype, [&](auto zero) {
    launch_map<bool, decltype(zero)>(call.stream, Question{kIndex}, call.out[0], call.in[0]);
  });
}

constexpr DeviceOp kOps[] = {
#define DENSA_ENTRY(name, F, kind, grad) strided(#name, &binary<F, Kind::kind, k_##name>),
    DENSA_PLAIN_BINARY(DENSA_ENTRY)
#undef DENSA_ENTRY
#define DENSA_ENTRY(name, F) strided(#name, &unary<k_##name>),
        DENSA_PLAIN_UNARY(DENSA_ENTRY)
#undef DENSA_ENTRY
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa {

std::span<const DeviceOp> elementwise::plain_device_ops() { return kOps; }

}  // namespace densa
