// Softmax cross-entropy on a GPU, loss and gradient in one pass over the row: a team of threads per
// row (cuda/row_team.h) reads the scores three times, from cache after the first.
#include "cuda/numbers.h"
#include "cuda/row_team.h"
#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/loss/device_labels.cuh"
#include "ops/loss/formula.h"
#include "ops/reduce/formula.h"
#include "ops/reduce/plain.h"

namespace densa::inline DENSA_ISA {
namespace {

enum Operand : int { kZ, kTarget, kDy };

template <class T>
struct LossCall {
  std::int64_t rows = 0, classes = 0;
  Strided<3> walk;                      // of the rows, over the operands
  std::int64_t z_step = 1, t_step = 1;  // from class to class
  typename FloatMemory<T>::In z;
  Global<const T> t, dy;
  DeviceLabels labels;  // instead of t
  T smoothing = 0;
  Global<T> loss;  // null: not wanted
  typename FloatMemory<T>::Out dz;
  bool wants_dz = false;
};

template <class T, bool kLabels, bool kWide>
__global__ void softmax_loss(LossCall<T> a, int width) {
  __shared__ TeamRoom<T> room;
  const T keep = T{1} - a.smoothing, even = a.smoothing / static_cast<T>(a.classes);
  for (Team<kWide> team(width); team.any(a.rows); team.next()) {
    const std::int64_t row = team.row(), n = row < a.rows ? a.classes : 0;
    std::int64_t at[3];
    a.walk.locate(row < a.rows ? row : 0, at);
    const auto z = [&](std::int64_t c) { return a.z[at[kZ] + c * a.z_step]; };
    const auto target = [&](std::int64_t c) {
      const T t = a.t[at[kTarget] + c * a.t_step];
      return a.smoothing != T{0} ? CrossEntropy::smoothed(t, keep, even) : t;
    };
    T top = static_cast<T>(Larger::kNeutral);
    for (std::int64_t c = team.rank(); c < n; c += team.size()) top = Larger::of(top, z(c));
    top = team.template fold<Larger>(top, room);
    LongSum<T> own_sum, own_weight, own_terms;
    for (std::int64_t c = team.rank(); c < n; c += team.size()) {
      const T score = z(c);
      own_sum.add(CrossEntropy::power(score, top));
      if constexpr (!kLabels) {
        const T t = target(c);
        own_weight.add(t);
        own_terms.add(CrossEntropy::term(t, top, score));
      }
    }
    const T sum = team.template fold<Add>(own_sum.value(), room);
    T weight{}, terms{};
    if constexpr (!kLabels) {
      weight = team.template fold<Add>(own_weight.value(), room);
      terms = team.template fold<Add>(own_terms.value(), room);
    }
    if (n == 0) continue;
    std::int64_t label = 0;
    bool valid = true;
    if constexpr (kLabels) {
      label = a.labels.at(at[kTarget]);
      valid = label >= 0 && label < n;
    }
    const T nan = static_cast<T>(__builtin_nan(""));
    if (a.loss != nullptr && team.rank() == 0) {
      const T log_sum = log(sum);
      if constexpr (kLabels) {
        a.loss[row] = valid ? log_sum + (top - z(label)) : nan;
      } else {
        a.loss[row] = CrossEntropy::loss(weight, log_sum, terms);
      }
    }
    if (!a.wants_dz) continue;
    const T dy = a.dy[at[kDy]];
    const T factor = kLabels ? dy / sum : CrossEntropy::factor(dy, weight, sum);
    for (std::int64_t c = team.rank(); c < n; c += team.size()) {
      T d = CrossEntropy::power(z(c), top) * factor;
      if constexpr (kLabels) {
        if (c == label) d -= dy;
      } else {
        d -= dy * target(c);
      }
      put(a.dz, row * n + c, valid ? d : nan);
    }
  }
}

template <class T, bool kLabels>
void launch_loss(const DeviceCall& call, const LossCall<T>& a) {
  const int width = team_width(a.classes, 1);
  const bool wide = a.classes >= kWideFrom;
  cuda::launch(call.stream, team_grid(a.rows, width, wide),
               wide ? &softmax_loss<T, kLabels, true> : &softmax_loss<T, kLabels, false>, a, width);
}

// The rows of logits: all axes but the last.
Dims rows_of(const Dims& logits) {
  return Dims(std::span(logits.begin(), static_cast<std::size_t>(logits.rank() - 1)));
}

// The strides with which the rows of `view` are read.
Dims row_strides(const View& view) {
  return Dims(std::span(view.strides.begin(), static_cast<std::size_t>(view.shape.rank() - 1)));
}

template <class T>
void eval_as(const DeviceCall& call, const View* loss, const View* dz) {
  const View &x = call.in[0], &target = call.in[1];
  const bool has_labels = is_integer(target.dtype);
  const Dims rows = rows_of(x.shape);
  LossCall<T> a;
  a.rows = element_count(rows);
  a.classes = x.shape.back();
  if (a.rows == 0) return;
  const Dims dy_strides = dz == nullptr ? row_strides(x) : stretched(call.in[2], rows);
  a.walk = Strided<3>::of(
      rows,
      {row_strides(x), has_labels ? stretched(target, rows) : row_strides(target), dy_strides});
  a.z = FloatMemory<T>::in(x);
  a.z_step = x.strides.back();
  if (loss != nullptr) a.loss = Global<T>(loss->as<T>());
  if (dz != nullptr) {
    a.dz = FloatMemory<T>::out(*dz);
    a.wants_dz = true;
    a.dy = Global<const T>(call.in[2].as<const T>());
  }
  if (has_labels) {
    a.labels = DeviceLabels::of(target);
    return launch_loss<T, true>(call, a);
  }
  a.t = Global<const T>(target.as<const T>());
  a.t_step = target.strides.back();
  a.smoothing = static_cast<T>(call.attrs.get_double("label_smoothing", 0));
  launch_loss<T, false>(call, a);
}

template <bool kLoss, bool kGrad>
void eval(const DeviceCall& call) {
  const View* const loss = kLoss ? &call.out[0] : nullptr;
  const View* const dz = kGrad ? &call.out[kLoss ? 1 : 0] : nullptr;
  if (call.in[0].dtype == DType::kFloat64) {
    eval_as<double>(call, loss, dz);
  } else {
    eval_as<float>(call, loss, dz);
  }
}

// ---- accuracy ----

template <class T, bool kWide>
__global__ void accuracy(LossCall<T> a, int width) {
  __shared__ TeamRoom<T> values;
  __shared__ TeamRoom<std::int64_t> indices;
  for (Team<kWide> team(width); team.any(a.rows); team.next()) {
    const std::int64_t row = team.row(), n = row < a.rows ? a.classes : 0;
    std::int64_t at[3];
    a.walk.locate(row < a.rows ? row : 0, at);
    // A row with a NaN is wrong, so the largest score alone says where to look.
    T top = static_cast<T>(Larger::kNeutral);
    for (std::int64_t c = team.rank(); c < n; c += team.size())
      top = Larger::of(top, a.z[at[kZ] + c * a.z_step]);
    top = team.template fold<Larger>(top, values);
    std::int64_t first = n;
    for (std::int64_t c = team.rank(); c < n && first == n; c += team.size())
      if (a.z[at[kZ] + c * a.z_step] == top) first = c;
    first =
        team.template fold<reduce::PlainFold<reduce::Plain::kMin, std::int64_t>>(first, indices);
    if (n > 0 && team.rank() == 0) a.loss[row] = first == a.labels.at(at[kTarget]) && first < n;
  }
}

template <class T>
void accuracy_as(const DeviceCall& call) {
  const View& x = call.in[0];
  const Dims rows = rows_of(x.shape);
  LossCall<T> a;
  a.rows = element_count(rows);
  a.classes = x.shape.back();
  if (a.rows == 0) return;
  a.walk = Strided<3>::of(rows, {row_strides(x), stretched(call.in[1], rows), row_strides(x)});
  a.z = FloatMemory<T>::in(x);
  a.z_step = x.strides.back();
  a.labels = DeviceLabels::of(call.in[1]);
  a.loss = Global<T>(call.out[0].as<T>());
  const int width = team_width(a.classes, 1);
  const bool wide = a.classes >= kWideFrom;
  cuda::launch(call.stream, team_grid(a.rows, width, wide),
               wide ? &accuracy<T, true> : &accuracy<T, false>, a, width);
}

void eval_accuracy(const DeviceCall& call) {
  if (call.in[0].dtype == DType::kFloat64) {
    accuracy_as<double>(call);
  } else {
    accuracy_as<float>(call);
  }
}

// Scores may lie in 16 bits; of the results, those that `half_out` says.
constexpr DeviceOp strided(const char* name, void (*eval)(const DeviceCall&),
                           std::uint32_t half_out = 0) {
  return {.name = name, .eval = eval, .any_strides = true, .half_in = 1, .half_out = half_out};
}

constexpr DeviceOp kOps[] = {
    strided("softmax_cross_entropy", &eval<true, false>),
    strided("sparse_softmax_cross_entropy", &eval<true, false>),
    strided("softmax_cross_entropy_grad", &eval<false, true>, 1),
    strided("sparse_softmax_cross_entropy_grad", &eval<false, true>, 1),
    strided("loss_pair", &eval<true, true>, 2),
    strided("accuracy_sparse", &eval_accuracy),
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> loss() { return kOps; }

}  // namespace densa::cuda_ops
