#include "ops/softmax_loss/softmax_loss.h"

#include "simd/pick.h"

namespace densa {

DENSA_PICK(SoftmaxLossKernels, softmax_loss_table)

template <>
void softmax_loss<float>(const SoftmaxLoss<float>& call) {
  pick_softmax_loss_table()->f32(call);
}
template <>
void softmax_loss<double>(const SoftmaxLoss<double>& call) {
  pick_softmax_loss_table()->f64(call);
}

}  // namespace densa
