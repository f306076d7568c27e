// Products in float32 and float64 as they are: the portable form.
#include "ops/matmul/product_tiles.cuh"

namespace densa::inline DENSA_ISA {
namespace {

void launch_exact(const ProductCall& call, const TileCut& cut) {
  if (call.dtype == DType::kFloat32) {
    launch_tiles(call, cut, tiled<float>(call, cut));
  } else {
    launch_tiles(call, cut, tiled<double>(call, cut));
  }
}

}  // namespace

const ProductForm kExactProduct = {"exact", [](DType, const ProductSizes&) { return true; },
                                   cut_exact, launch_exact};

}  // namespace densa::inline DENSA_ISA
