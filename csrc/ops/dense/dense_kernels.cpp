// Which CPU level's dense kernels this process runs.
#include "ops/dense/dense.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(DenseKernels<float>, dense_f32)
DENSA_PICK(DenseKernels<double>, dense_f64)

template <>
const DenseKernels<float>& dense_kernels<float>() {
  return *pick_dense_f32();
}
template <>
const DenseKernels<double>& dense_kernels<double>() {
  return *pick_dense_f64();
}

// The tiles of tile.h at the widest level; narrower levels gain nothing from less.
std::int64_t forward_group(std::int64_t rows) { return rows <= 3 ? 8 : rows <= 6 ? 4 : 2; }

}  // namespace densa
