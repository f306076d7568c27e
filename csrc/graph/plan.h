// Plan: a Program bound to kernels and memory of the CPU; one call runs many steps.
//
// Built once for a largest batch (`capacity`); a smaller batch uses the first rows of each buffer.
// A step allocates nothing. Results do not depend on the number of threads, so the plan times one
// thread against several while it works and keeps what is faster.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/storage.h"
#include "graph/any_plan.h"
#include "graph/stage.h"
#include "graph/thread_choice.h"
#include "ops/optimizer/step_maker.h"

namespace densa {

class GatherAhead;

class Plan final : public AnyPlan {
 public:
  // `optimizer` may be null (evaluate, predict). Outputs named in `collect` are written row by row
  // to the caller's arrays.
  Plan(Program program, std::int64_t capacity, std::unique_ptr<OptimizerPlan> optimizer,
       const std::vector<std::string>& collect);
  ~Plan() override;

  const Program& program() const override { return program_; }
  std::int64_t capacity() const override { return capacity_; }
  void begin(DataSpan span) override;
  std::int64_t run(std::int64_t max_steps, double seconds, const double* rates,
                   std::size_t rate_count) override;
  std::int64_t position() const override { return position_; }
  bool done() const override { return position_ >= span_.end; }
  NonFinite nonfinite() const override;
  int last_threads() const override { return last_threads_; }
  std::string explain() const override;
  // On one thread.
  std::vector<std::pair<std::string, double>> profile(std::int64_t steps, double rate) override;

 private:
  friend class Placement;
  friend class UpdateLowering;
  friend class Lowering;
  struct Buffer {
    std::size_t bytes = 0;
    std::shared_ptr<Variable> variable;  // lies in a variable
    std::shared_ptr<Storage> fixed;      // a constant, filled when the plan was built
    std::string label;
    bool local = false;  // one for each thread
  };
  class Binding;
  void bind();
  void throw_failure();
  // False if a stage failed; the rest of the step is left out then.
  bool walk(StepState s, Team& team, int thread, GatherAhead& ahead);
  StepState state(std::int64_t position, std::int64_t step_index, const double* rates,
                  std::size_t rate_count) const;

  Program program_;
  std::int64_t capacity_;
  std::unique_ptr<OptimizerPlan> optimizer_;
  std::vector<Buffer> buffers_;
  std::vector<StagePtr> stages_;
  Schedule schedule_;
  ArenaPlan places_;
  std::shared_ptr<Storage> arena_;
  std::vector<std::ptrdiff_t> locals_;  // where local buffers lie; -1 for all others
  std::size_t scratch_bytes_ = 0, local_bytes_ = 0;
  std::vector<std::shared_ptr<Storage>> scratch_;  // per thread: local buffers, then scratch
  std::vector<std::vector<StepMaker>> makers_;     // per thread
  std::vector<std::shared_ptr<Variable>> written_;
  std::vector<const void*> bound_;  // what variables' memory was bound to
  std::shared_ptr<Failure> failure_ = std::make_shared<Failure>();
  std::shared_ptr<std::atomic<std::int64_t>> nonfinite_;  // row * inputs + input, or -1

  DataSpan span_;
  std::int64_t position_ = 0, steps_in_span_ = 0;
  ThreadChoice choice_;
  int last_threads_ = 1;
};

}  // namespace densa
