// Ops that passes put into Programs and lowering understands; they are not in the registry.
#pragma once
#include "ops/op.h"

namespace densa {

// input -> the batch's rows of it; dtype, shape, scale, offset: cast, reshape, x * scale + offset.
const Op& feed_op();
// z -> f(z), f'(z); fn: the activation.
const Op& unary_pair_op();
// logits, targets, dloss -> loss, dlogits of a softmax cross-entropy; label_smoothing.
const Op& loss_pair_op();

}  // namespace densa
