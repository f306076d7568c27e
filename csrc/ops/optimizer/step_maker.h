// From an optimizer's name and hyperparameters to its kernel and to the numbers of each step.
#pragma once
#include <cstdint>
#include <string_view>

#include "ops/op.h"
#include "ops/optimizer/optimizer.h"

namespace densa {

// The kernel of this machine's level by its name in list.inc; throws ValueError.
const OptimizerKernel& find_optimizer_kernel(std::string_view name);
template <class T>
StepFn<T> step_of(const OptimizerKernel& kernel) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return kernel.step_f32;
  } else {
    return kernel.step_f64;
  }
}

// Hyperparameters are Keras' constructor arguments (beta_1, epsilon, nesterov, weight_decay, ...)
// with Keras' defaults; unknown names and values out of range throw ValueError.
// Kinds: sgd, rmsprop, adagrad, adadelta, adam, adamw, adamax, nadam, lion.
class StepMaker {
 public:
  StepMaker(std::string_view kind, const Attrs& hyper);

  const OptimizerKernel& kernel() const { return *kernel_; }
  // What a new slot is filled with (adagrad's initial_accumulator_value; else 0).
  double slot_start(int slot) const;

  // The numbers of the step after `iteration` completed ones (0 for the first), at rate `lr`.
  // `decay_on`: false for a variable excluded from weight decay. `grad_scale`: what gradients are
  // multiplied with (norm clipping, loss scale). clip_value comes from the hyperparameter
  // clipvalue.
  template <class T>
  StepNumbers<T> numbers(std::int64_t iteration, double lr, double grad_scale = 1,
                         bool decay_on = true);

 private:
  enum class Kind { kSgd, kRmsprop, kAdagrad, kAdadelta, kAdam, kAdamax, kNadam, kLion };
  double nadam_product(std::int64_t step);

  Kind kind_;
  const OptimizerKernel* kernel_;
  double momentum_ = 0, rho_ = 0, beta_1_ = 0, beta_2_ = 0, epsilon_ = 0, start_ = 0;
  double weight_decay_ = 0, clip_value_ = 0;
  std::int64_t product_step_ = 0;  // nadam: product_ covers steps 1 .. product_step_
  double product_ = 1, decay_power_ = 1;
};

}  // namespace densa
