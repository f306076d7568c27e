#include "ops/dropout/dropout.h"

#include "base/threads.h"
#include "ops/check.h"
#include "ops/op.h"
#include "ops/random/draw.h"
#include "ops/walk.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(DropoutKernels, dropout_table)

void dropout(const DropoutPanels<float>& call) { pick_dropout_table()->panels_f32(call); }
void dropout(const DropoutPanels<double>& call) { pick_dropout_table()->panels_f64(call); }
void dropout(const DropoutRun<float>& call) { pick_dropout_table()->run_f32(call); }
void dropout(const DropoutRun<double>& call) { pick_dropout_table()->run_f64(call); }

namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "dropout");
  check_floating(in[0], "dropout");
  const double rate = attrs.get_double("rate", 0);
  if (!(rate >= 0 && rate < 1))
    throw ValueError(cat("dropout: rate must be at least 0 and below 1 but is ", rate));
  draw_of(attrs, "dropout");
  attrs.get_int("seed", 0);
  attrs.get_int("stream", 0);
  return {in[0]};
}

// The mask is the same for the same attributes: dx is dropout of dy.
std::vector<Value> grad(const GradCall& call) {
  const Value in[] = {call.dy[0]};
  return {call.build.apply_all("dropout", in, call.attrs)[0]};
}

template <class T>
void eval(const EvalCall& call) {
  DropoutRun<T> all;
  all.x = call.in[0].as<const T>();
  all.y = call.out[0].as<T>();
  all.rate = call.attrs.get_double("rate", 0);
  all.seed = static_cast<std::uint64_t>(call.attrs.get_int("seed", 0));
  all.stream = static_cast<std::uint64_t>(call.attrs.get_int("stream", 0));
  all.step = draw_of(call.attrs, "dropout").at(call.step);
  const std::int64_t n = element_count(call.out[0].shape);
  const std::int64_t blocks = (n + kDropoutBlock - 1) / kDropoutBlock;
  parallel_for(blocks, kParallelGrain / kDropoutBlock, [&](std::int64_t begin, std::int64_t end) {
    DropoutRun<T> part = all;
    part.begin = begin * kDropoutBlock;
    part.end = end == blocks ? n : end * kDropoutBlock;
    dropout(part);
  });
}

void eval_any(const EvalCall& call) {
  call.in[0].dtype == DType::kFloat32 ? eval<float>(call) : eval<double>(call);
}

constexpr Op kOps[] = {{"dropout", &infer, &grad, &eval_any}};

}  // namespace

namespace ops {
std::span<const Op> dropout();
std::span<const Op> dropout() { return kOps; }
}  // namespace ops

}  // namespace densa
