// Products with numbers of 16 bits by fused multiply-adds in float32: the portable form, for GPUs
// without tensor cores for them and for awkward sizes.
#include "ops/matmul/product_mixed.cuh"
#include "ops/matmul/product_tiles.cuh"

namespace densa::inline DENSA_ISA {

const ProductForm kMixedProduct = {
    "exact", [](DType, const ProductSizes&) { return true; }, cut_exact,
    [](const ProductCall& call, const TileCut& cut) { launch_tiles(call, cut, mixed(call, cut)); }};

}  // namespace densa::inline DENSA_ISA
