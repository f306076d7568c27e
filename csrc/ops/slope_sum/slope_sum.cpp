#include "ops/slope_sum/slope_sum.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
  return {in[1], {in[1].dtype, Dims{in[1].shape[1]}}};
}

const Op kSlopeSum{"slope_sum", infer, nullptr, nullptr};

}  // namespace

const Op& slope_sum_op() { return kSlopeSum; }

}  // namespace densa
