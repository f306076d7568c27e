// A sum over rows (cuda/fold.h) whose elements are made, and written, as they are read: each once,
// so dz and db have the bits of two passes. Where dz lies in 16 bits, its rounded numbers are
// added.
#include "ops/slope_sum/slope_sum.h"

#include <string>

#include "cuda/fold.h"
#include "cuda/numbers.h"
#include "ops/backend.h"
#include "ops/elementwise/numbered.h"
#include "ops/slope_sum/sum_rows.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class T>
using In = typename FloatMemory<T>::In;
template <class T>
using Out = typename FloatMemory<T>::Out;

// Element `at` of dz, which is written; with `sums` that of dy. One function that kernels call.
template <class T>
DENSA_SHARED_CODE T make_element(bool sums, Formula formula, double parameter, In<T> saved,
                                 In<T> dy, Out<T> dz, std::int64_t at) {
  if (sums) return dy[at];
  const T d = dy[at] * slope_from_saved<false>(formula, parameter, T{saved[at]});
  put(dz, at, d);
  return as_put(dz, d);
}

template <class T>
struct SlopeFold {
  using Acc = T;
  struct Local {};
  bool sums;  // dy as it is
  Formula formula;
  double parameter;
  In<T> saved, dy;
  Out<T> dz, db;
  __device__ Local local(std::int64_t) const { return {}; }
  __device__ T load(std::int64_t at, std::int64_t, Local) const {
    return make_element<T>(sums, formula, parameter, saved, dy, dz, at);
  }
  __device__ T neutral() const { return T{0}; }
  __device__ T join(T a, T b) const { return a + b; }
  __device__ void store(std::int64_t k, T sum) const { put(db, k, sum); }
};

constexpr std::array<bool, kMaxRank> kOverRows{true};

std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs&) {
  return FoldShape::scratch_bytes(in[1].shape, kOverRows, arithmetic_size(in[1].dtype));
}

// There are at least two columns, so this is the one form of launch_fold that is needed: the others
// would be machine code for nothing.
template <class F>
void launch_columns(cuda::Stream stream, const F& f, const FoldShape& shape) {
  const std::int64_t blocks = std::min<std::int64_t>(shape.tiles() * shape.parts, 1 << 14);
  cuda::launch(stream, {{static_cast<unsigned>(blocks)}, {FoldShape::kThreads}}, fold_columns<F>, f,
               shape);
}

template <class T>
void launch_sums(const DeviceCall& call, const SlopeFold<T>& fold, const Dims& of) {
  const FoldShape shape = FoldShape::of(of, kOverRows);
  if (shape.parts == 1) return launch_columns(call.stream, fold, shape);
  Global<T> parts(static_cast<T*>(call.scratch));
  launch_columns(call.stream, ToParts<SlopeFold<T>>{fold, parts}, shape);
  launch_columns(call.stream, FromParts<SlopeFold<T>>{fold, parts},
                 FoldShape::of({shape.parts, shape.results}, kOverRows).whole());
}

template <class T>
void eval_as(const DeviceCall& call) {
  SlopeFold<T> fold{false, Formula::kNone, 0, {}, {}, {}, {}};
  const std::string name = call.attrs.get_string("fn", "");
  for (int i = 0; const NumberedFormula& one : kNumberedFormulas) {
    if (name == one.name) {
      fold.formula = static_cast<Formula>(i);
      if (one.attribute != nullptr)
        fold.parameter = call.attrs.get_double(one.attribute, one.missing);
    }
    ++i;
  }
  using Memory = FloatMemory<T>;
  fold.saved = Memory::in(call.in[0]);
  fold.dy = Memory::in(call.in[1]);
  fold.dz = Memory::out(call.out[0]);
  fold.db = Memory::out(call.out[1]);
  launch_sums(call, fold, call.in[1].shape);
}

void eval(const DeviceCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? eval_as<double> : eval_as<float>)(call);
}

constexpr DeviceOp kOps[] = {{.name = "slope_sum",
                              .eval = &eval,
                              .scratch_bytes = &scratch_bytes,
                              .half_in = 3,
                              .half_out = 3}};

}  // namespace

void sum_rows(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  SlopeFold<float> fold{
      true, Formula::kNone, 0, {}, FloatMemory<float>::in(x), {}, FloatMemory<float>::out(y)};
  launch_sums(call, fold, x.shape);
}

}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> slope_sum();
std::span<const DeviceOp> slope_sum() { return kOps; }

}  // namespace densa::cuda_ops
