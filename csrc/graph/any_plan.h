// What a plan is to its caller, on whichever device it runs: a Program bound to kernels and memory;
// one call runs many steps.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/program.h"
#include "graph/span.h"

namespace densa {

// How the trainable variables of a Program are updated.
struct OptimizerPlan {
  std::string kind;  // "sgd", "adam", ...
  Attrs hyper;       // Keras' constructor arguments
  struct Target {
    std::shared_ptr<Variable> variable;
    std::vector<std::shared_ptr<Variable>> slots;
    bool decay = true;
    int gradient = -1;  // program value
  };
  std::vector<Target> targets;
  double clip_norm = 0;          // per variable; 0: off
  double global_clip_norm = 0;   // over all variables; 0: off
  double loss_scale_factor = 1;  // what the loss was multiplied with; taken off the gradients
  // Null, or what the loss was multiplied with, too, and the good steps since it last changed,
  // both single numbers, float32 and int32. A step whose gradients are not all finite is left out.
  std::shared_ptr<Variable> loss_scale, good_steps;
  std::int64_t growth_steps = 0;
  // Where not empty, one for each target: a step leaves the gradients there, and moves nothing.
  std::vector<std::shared_ptr<Variable>> gradients;
};

class AnyPlan {
 public:
  AnyPlan() = default;
  AnyPlan(const AnyPlan&) = delete;
  AnyPlan& operator=(const AnyPlan&) = delete;
  virtual ~AnyPlan() = default;

  virtual const Program& program() const = 0;
  virtual std::int64_t capacity() const = 0;

  // Points the plan at data; run() then goes through it batch by batch.
  virtual void begin(DataSpan span) = 0;
  // Runs at most `max_steps` further steps, or until about `seconds` have passed (0: no limit);
  // returns how many ran. `rates` holds one learning rate, or one per step from `begin` on.
  virtual std::int64_t run(std::int64_t max_steps, double seconds, const double* rates,
                           std::size_t rate_count) = 0;
  virtual std::int64_t position() const = 0;
  virtual bool done() const = 0;
  virtual NonFinite nonfinite() const = 0;
  virtual int last_threads() const = 0;

  virtual std::string explain() const = 0;
  // Runs `steps` steps of the current span, one part after the other; (label, seconds per step).
  virtual std::vector<std::pair<std::string, double>> profile(std::int64_t steps, double rate) = 0;

  std::int64_t step = 0;        // steps so far: they number updates
  std::int64_t first_draw = 0;  // random draws are numbered by this plus `step`
};

// The plan for the device that the program's variables lie on; throws ValueError where they lie on
// several. `optimizer` may be null (evaluate, predict). Outputs named in `collect` are written row
// by row to the caller's arrays. `capacity` is the largest batch.
std::unique_ptr<AnyPlan> make_plan(Program program, std::int64_t capacity,
                                   std::unique_ptr<OptimizerPlan> optimizer,
                                   const std::vector<std::string>& collect);

}  // namespace densa
