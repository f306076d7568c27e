#include "graph/internal_ops.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer_feed(std::span<const TypeInfo> in, const Attrs& attrs) {
  TypeInfo type = in[0];
  type.dtype = dtype_from_name(attrs.get_string("dtype", "float32"));
  if (attrs.has("shape")) type.shape = Dims(std::span<const std::int64_t>(attrs.get_ints("shape")));
  return {type};
}

std::vector<TypeInfo> infer_pair(std::span<const TypeInfo> in, const Attrs&) {
  return {in[0], in[0]};
}

std::vector<TypeInfo> infer_loss_pair(std::span<const TypeInfo> in, const Attrs&) {
  TypeInfo loss = in[0];
  loss.shape = Dims(std::span<const std::int64_t>(
      in[0].shape.begin(), static_cast<std::size_t>(in[0].shape.rank() - 1)));
  return {loss, in[0]};
}

const Op kFeed{"feed", infer_feed, nullptr, nullptr};
const Op kUnaryPair{"unary_pair", infer_pair, nullptr, nullptr};
const Op kLossPair{"loss_pair", infer_loss_pair, nullptr, nullptr};

}  // namespace

const Op& feed_op() { return kFeed; }
const Op& unary_pair_op() { return kUnaryPair; }
const Op& loss_pair_op() { return kLossPair; }

}  // namespace densa
