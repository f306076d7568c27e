// GpuPlan: a Program bound to launches and memory of a GPU.
//
// Every value has its place in one allocation; a step is a list of launches over those places. The
// first step with a number of rows is launched one by one, the second is captured, all others
// replay it. What changes from step to step (row of the data set, number of the step, learning
// rate, whether it failed) lies in device memory, so a replay needs nothing from the host.
#pragma once
#include <climits>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/any_plan.h"
#include "graph/gpu_parts.h"
#include "ops/backend.h"
#include "ops/matmul/matmul_precision.h"
#include "ops/optimizer/step_maker.h"

namespace densa {

class GpuPlan final : public AnyPlan {
 public:
  GpuPlan(Program program, std::int64_t capacity, std::unique_ptr<OptimizerPlan> optimizer,
          const std::vector<std::string>& collect, Device device);
  ~GpuPlan() override;

  const Program& program() const override { return program_; }
  std::int64_t capacity() const override { return capacity_; }
  void begin(DataSpan span) override;
  std::int64_t run(std::int64_t max_steps, double seconds, const double* rates,
                   std::size_t rate_count) override;
  std::int64_t position() const override { return position_; }
  bool done() const override { return position_ >= span_.end; }
  NonFinite nonfinite() const override { return nonfinite_; }
  int last_threads() const override { return 1; }
  std::string explain() const override;
  std::vector<std::pair<std::string, double>> profile(std::int64_t steps, double rate) override;

 private:
  static constexpr long long kFine = LLONG_MAX;     // of a status
  static constexpr std::int64_t kMostSteps = 4096;  // whose learning rates are sent at once

  // Where a value lies.
  struct Place {
    enum Kind : std::uint8_t { kNowhere, kVariable, kFixed, kArena, kInput, kRowCount } kind;
    std::shared_ptr<Variable> variable;
    std::shared_ptr<Storage> fixed;
    int buffer = -1;  // kArena
    int input = -1;   // kInput
    int count = -1;   // kRowCount: which of row_counts_
    int spread = -1;  // the value whose memory this one is, stretched
  };
  struct Work {  // one op, before rows are known
    const DeviceOp* op;
    std::vector<int> in, out;
    Attrs attrs;
    int input = -1;   // feed: which input of the program
    int result = -1;  // emit: which collected output
    int status = -1;  // slot in status_; -1: cannot fail
    std::string label;
  };
  struct Launch {  // the same for a number of rows
    const Work* work;
    std::vector<View> in, out;
  };
  struct Assign {
    std::shared_ptr<Variable> variable;
    int value;
  };
  struct Updates {  // of one dtype
    DType dtype = DType::kFloat32;
    std::vector<const OptimizerPlan::Target*> targets;
    std::vector<int> gradients;
    std::shared_ptr<Storage> numbers;
  };
  struct Recorded {  // everything for one number of rows
    std::int64_t rows = 0, runs = 0;
    std::shared_ptr<Storage> row_counts;
    std::vector<Launch> launches;
    std::vector<DeviceTargets> groups;
    std::vector<std::shared_ptr<Storage>> tables;  // of the groups
    std::shared_ptr<Storage> scratch;              // what was captured goes on with it
    cuda::Graph* graph = nullptr;
  };

  // gpu_plan_places.cpp
  // A variable rounded to 16 bits, which is kept from step to step: updates write it as well.
  struct Copy {
    int value;
    DType rounded;
  };

  void place_values(const std::vector<std::string>& collect);
  void add(const ProgramNode& node);
  void add_result(const std::string& name, int result);
  int new_buffer(int value);
  bool readers_take_strides(int value) const;
  void touch(int value);
  void keep_copies(const ProgramNode& node);
  bool can_keep_copies(const ProgramNode& node) const;
  void place_arena();

  const TypeInfo& type(int value) const { return program_.values[value].type; }
  std::size_t bytes_of(int value) const;
  std::size_t bytes_moved() const;
  // gpu_plan_bind.cpp
  void* address(const Recorded& recorded, int value) const;
  View view(const Recorded& recorded, int value) const;

  Recorded& recorded(std::int64_t rows);
  void forget_recorded();
  std::shared_ptr<Storage> scratch_for(std::int64_t rows);
  void bind_updates(Recorded& recorded);
  DeviceUpdate update_of(const Recorded& recorded) const;
  // gpu_plan.cpp
  void refresh_copies(const Recorded& recorded);
  std::vector<std::uint64_t> copied_versions() const;
  void bump_versions();
  void launch_ops(const Recorded& recorded);
  void launch_end(const Recorded& recorded);  // updates, assignments, the next step's numbers
  void launch_one(const Recorded& recorded, const Launch& launch);
  void launch_step(Recorded& recorded);
  const DeviceStep* device_step() const { return static_cast<const DeviceStep*>(step_->data()); }
  bool may_fail() const { return status_count_ > static_cast<int>(program_.inputs.size()); }
  void launch_updates(const Recorded& recorded);
  // gpu_plan_data.cpp
  template <class T>
  void put(const std::shared_ptr<Storage>& to, const T* from, std::size_t count) {
    gpu_.copy(device_, to->data(), from, count * sizeof(T), cuda::Direction::kToDevice);
  }
  std::int64_t upload_rows();
  void bring_part();
  void load_order();
  void upload_numbers(std::int64_t steps, const double* rates, std::size_t rate_count);
  void upload_step();
  void clear_status();
  std::int64_t steps_over();  // since upload_step; waits
  void end_part();
  void read_results();
  void read_nonfinite();
  std::exception_ptr failure(const Recorded& recorded);

  Program program_;
  std::int64_t capacity_;
  std::unique_ptr<OptimizerPlan> optimizer_;
  std::unique_ptr<StepMaker> maker_;
  Device device_;
  Backend& gpu_;
  const MatmulPrecision matmul_precision_ = matmul_precision();

  std::vector<Place> places_;
  std::vector<Work> works_;
  // What makes copies_: launched only where one of their variables has changed since, which is
  // known by its version.
  std::vector<Work> copy_works_;
  std::map<const Variable*, Copy> copies_;
  std::vector<std::uint64_t> copied_;  // versions
  std::vector<Assign> assigns_;
  std::vector<Updates> updates_;
  std::shared_ptr<Storage> update_scratch_;
  struct RowCount {
    int value;
    std::int64_t dim;  // what it counts
  };
  std::vector<RowCount> row_counts_;
  std::vector<int> results_;  // collected values
  std::vector<std::shared_ptr<Variable>> written_;

  struct Buffer {
    std::size_t bytes;
    int first, last;  // index of the work that makes it, and that reads it last
  };
  std::vector<Buffer> buffers_;
  std::vector<std::size_t> offsets_;
  std::shared_ptr<Storage> arena_, scratch_, step_, status_;
  std::vector<std::shared_ptr<Storage>> separate_;  // buffers, where they lie in no arena
  std::size_t arena_bytes_ = 0;
  int status_count_ = 0;
  bool all_fine_ = false;  // what status_ says, where that is known

  DataSpan span_;
  std::int64_t position_ = 0, steps_in_span_ = 0;
  NonFinite nonfinite_;
  // The rows of the span that lie on the GPU: all of them, or a part that the order has been
  // applied to already, with room for part_rows_.
  std::int64_t loaded_first_ = 0, loaded_last_ = 0, part_rows_ = 0;
  std::int64_t results_from_ = 0;  // positions whose results have not been read
  bool resident_ = false;
  std::vector<std::shared_ptr<Storage>> sources_, result_rows_;
  std::shared_ptr<Storage> order_;
  std::vector<std::unique_ptr<Recorded>> recorded_;
  std::vector<const void*> bound_;
  // Where data does not fit: what was recorded for the place of the part that comes next.
  std::unique_ptr<GpuParts> parts_;
  std::vector<std::unique_ptr<Recorded>> next_recorded_;
  std::vector<const void*> next_bound_;
  double per_step_ = 0;  // seconds
};

}  // namespace densa
