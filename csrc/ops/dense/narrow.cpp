#include "ops/dense/narrow.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK_WITH_V4X(NarrowKernels, bfloat16_kernels)
DENSA_PICK_WITH_V4X(NarrowKernels, int8_kernels)

const NarrowKernels& narrow_kernels(Narrow form) {
  return form == Narrow::kInt8 ? *pick_int8_kernels() : *pick_bfloat16_kernels();
}

namespace {

// Number k of column n.
float at(const Panels<const float>& w, std::int64_t k, std::int64_t n) {
  return w.panel(n / kPanel)[k * kPanel + n % kPanel];
}

template <class T>
void put(std::byte* to, T number) {
  std::memcpy(to, &number, sizeof number);
}

void pack_bfloat16(std::byte* to, const Panels<const float>& w, std::int64_t in, std::int64_t out) {
  const std::int64_t steps = narrow_steps(Narrow::kBFloat16, in);
  for (std::int64_t n = 0; n < out; ++n)
    for (std::int64_t k = 0; k < in; ++k)
      put(to + ((n / kPanel * steps + k / 2) * kPanel + n % kPanel) * 4 + k % 2 * 2,
          bfloat16(at(w, k, n)).bits);
}

void pack_int8(std::byte* to, const Panels<const float>& w, std::int64_t in, std::int64_t out) {
  if (in > kMostInt8In)
    throw ValueError(cat("int8 weights have at most ", kMostInt8In, " rows, got ", in));
  const std::int64_t steps = narrow_steps(Narrow::kInt8, in);
  const NarrowWeights parts = narrow_weights(Narrow::kInt8, in, out);
  for (std::int64_t n = 0; n < out; ++n) {
    float most = 0;
    for (std::int64_t k = 0; k < in; ++k) {
      if (!std::isfinite(at(w, k, n)))
        throw ValueError(cat("int8 weights must be finite, but column ", n, " is not"));
      most = std::max(most, std::fabs(at(w, k, n)));
    }
    const double scale = static_cast<double>(most) / 127;
    std::int32_t sum = 0;
    for (std::int64_t k = 0; k < in && most > 0; ++k) {
      const auto q = static_cast<std::int8_t>(std::nearbyint(at(w, k, n) / scale));
      put(to + ((n / kPanel * steps + k / 4) * kPanel + n % kPanel) * 4 + k % 4, q);
      sum += q;
    }
    put(to + parts.scale + n * 4, static_cast<float>(scale));
    put(to + parts.sum + n * 4, sum);
  }
}

}  // namespace

void narrow_pack(Narrow form, std::byte* to, const Panels<const float>& w, std::int64_t in,
                 std::int64_t out) {
  std::memset(to, 0, static_cast<std::size_t>(narrow_weights(form, in, out).bytes));
  form == Narrow::kInt8 ? pack_int8(to, w, in, out) : pack_bfloat16(to, w, in, out);
}

}  // namespace densa
