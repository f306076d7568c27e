#include "graph/gpu_plan.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "graph/gpu_fuse.h"
#include "graph/gpu_rows.h"
#include "graph/plan.h"

namespace densa {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kChunkSeconds = 0.01;  // between looks at the clock

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

std::unique_ptr<AnyPlan> make_plan(Program program, std::int64_t capacity,
                                   std::unique_ptr<OptimizerPlan> optimizer,
                                   const std::vector<std::string>& collect) {
  std::vector<std::shared_ptr<Variable>> variables;
  for (const ProgramValue& value : program.values)
    if (value.source == Source::kVariable) variables.push_back(value.variable);
  for (const ProgramNode& node : program.nodes)
    if (node.variable) variables.push_back(node.variable);
  if (optimizer)
    for (const OptimizerPlan::Target& target : optimizer->targets)
      variables.insert(variables.end(), target.slots.begin(), target.slots.end());
  if (optimizer && optimizer->loss_scale != nullptr)
    variables.insert(variables.end(), {optimizer->loss_scale, optimizer->good_steps});
  const Device device = variables.empty() ? default_device() : variables.front()->device();
  for (const auto& variable : variables)
    if (!(variable->device() == device))
      throw ValueError(cat("variable '", variable->name(), "' lies on ",
                           to_string(variable->device()), ", '", variables.front()->name(), "' on ",
                           to_string(device),
                           "; build the whole model under one densa.set_device"));
  if (device.is_cpu())
    return std::make_unique<Plan>(std::move(program), capacity, std::move(optimizer), collect);
  fuse_for_gpu(program, optimizer != nullptr, capacity);
  return std::make_unique<GpuPlan>(std::move(program), capacity, std::move(optimizer), collect,
                                   device);
}

GpuPlan::GpuPlan(Program program, std::int64_t capacity, std::unique_ptr<OptimizerPlan> optimizer,
                 const std::vector<std::string>& collect, Device device)
    : program_(std::move(program)),
      capacity_(capacity),
      optimizer_(std::move(optimizer)),
      device_(device),
      gpu_(backend()),
      places_(program_.values.size()) {
  if (capacity < 1) throw ValueError(cat("plan: batch size must be at least 1, got ", capacity));
  if (optimizer_) maker_ = std::make_unique<StepMaker>(optimizer_->kind, optimizer_->hyper);
  status_count_ = static_cast<int>(program_.inputs.size());
  place_values(collect);
  place_arena();
  step_ = zeros_on(device_, sizeof(DeviceStep));
  status_ = allocate_on(device_, sizeof(long long) * static_cast<std::size_t>(status_count_ + 1));
}

GpuPlan::~GpuPlan() {
  forget_recorded();
  recorded_.swap(next_recorded_);
  forget_recorded();
  if (arena_ != nullptr) gpu_.forget_parts(arena_->data(), arena_bytes_);
}

// ---- launching ----------------------------------------------------------------------------------

void GpuPlan::launch_one(const Recorded& recorded, const Launch& launch) {
  const Work& work = *launch.work;
  DeviceCall call{
      launch.in,
      launch.out,
      work.attrs,
      recorded.scratch == nullptr ? nullptr : recorded.scratch->data(),
      work.status < 0 ? nullptr : static_cast<long long*>(status_->data()) + work.status,
      gpu_.stream(device_),
      device_step()};
  run_on_gpu(*work.op, call);
}

void GpuPlan::launch_updates(const Recorded& recorded) {
  // First, so that the update of a variable that the step assigns starts from what was assigned.
  static const DeviceOp& store = device_op("store");
  for (const Assign& assign : assigns_) {
    void* const from = address(recorded, assign.value);
    if (from == assign.variable->data()) continue;
    const auto& [dtype, shape] = assign.variable->type();
    const View x{from, dtype, shape, contiguous_strides(shape)};
    const View y{assign.variable->data(), dtype, shape, x.strides};
    store.eval({{&x, 1}, {&y, 1}, {}, nullptr, nullptr, gpu_.stream(device_), device_step()});
  }
  if (!recorded.groups.empty()) gpu_.update(update_of(recorded));
}

std::vector<std::uint64_t> GpuPlan::copied_versions() const {
  std::vector<std::uint64_t> versions;
  for (const auto& [variable, copy] : copies_) versions.push_back(variable->version());
  return versions;
}

void GpuPlan::refresh_copies(const Recorded& recorded) {
  if (copied_versions() == copied_) return;
  const auto held = gpu_.hold(device_);
  for (const Work& work : copy_works_) {
    Launch launch{&work, {}, {}};
    for (int id : work.in) launch.in.push_back(view(recorded, id));
    for (int id : work.out) launch.out.push_back(view(recorded, id));
    launch_one(recorded, launch);
  }
  copied_ = copied_versions();
}

// Behind steps. Copies that were those of the variables still are.
void GpuPlan::bump_versions() {
  const bool fresh = copied_versions() == copied_;
  for (const auto& variable : written_) variable->bump_version();
  if (fresh) copied_ = copied_versions();
}

void GpuPlan::launch_ops(const Recorded& recorded) {
  for (const Launch& launch : recorded.launches) launch_one(recorded, launch);
}

void GpuPlan::launch_end(const Recorded& recorded) {
  static const DeviceOp &check = device_op("check"), &advance = device_op("advance");
  cuda::Stream const stream = gpu_.stream(device_);
  const View step{step_->data(), DType::kInt64, {4}, {1}};
  if (may_fail()) {
    const auto inputs = static_cast<std::int64_t>(program_.inputs.size());
    const View status{static_cast<long long*>(status_->data()) + inputs,
                      DType::kInt64,
                      {status_count_ - inputs},
                      {1}};
    check.eval({{&status, 1}, {&step, 1}, {}, nullptr, nullptr, stream});
  }
  launch_updates(recorded);
  const Attrs attrs{{"batch", span_.batch}};
  advance.eval({{}, {&step, 1}, attrs, nullptr, nullptr, stream});
}

void GpuPlan::launch_step(Recorded& recorded) {
  const auto held = gpu_.hold(device_);
  if (recorded.graph == nullptr && recorded.runs++ == 0) {
    launch_ops(recorded);
    launch_end(recorded);
    return;
  }
  if (recorded.graph == nullptr) {
    gpu_.begin_capture(device_);
    try {
      launch_ops(recorded);
      launch_end(recorded);
    } catch (...) {
      gpu_.destroy(gpu_.end_capture(device_));
      throw;
    }
    recorded.graph = gpu_.end_capture(device_);
  }
  gpu_.launch(device_, recorded.graph);
}

// ---- running ------------------------------------------------------------------------------------

void GpuPlan::begin(DataSpan span) {
  if (span.batch < 1 || span.batch > capacity_)
    throw ValueError(cat("plan: batch of ", span.batch, " rows, but the plan holds ", capacity_));
  if (span.sources.size() != program_.inputs.size())
    throw ValueError(
        cat("plan: ", program_.inputs.size(), " inputs expected, got ", span.sources.size()));
  const bool loaded = span.unchanged && resident_ && loaded_last_ > 0;
  span_ = std::move(span);
  position_ = span_.begin;
  steps_in_span_ = 0;
  loaded_first_ = loaded_last_ = 0;
  nonfinite_ = {};
  if (loaded) {
    load_order();
    loaded_last_ = span_.end;
    return;
  }
  resident_ = rows_fit(gpu_, device_, program_, span_, sources_, results_);
}

std::int64_t GpuPlan::run(std::int64_t max_steps, double seconds, const double* rates,
                          std::size_t rate_count) {
  const Clock::time_point start = Clock::now();
  if (!all_fine_) clear_status();
  all_fine_ = false;
  std::int64_t done_steps = 0;
  std::exception_ptr error;
  results_from_ = position_;
  try {
    while (error == nullptr && done_steps < max_steps && !done()) {
      const std::int64_t last = upload_rows();
      const std::int64_t first = position_;
      std::int64_t left = (last - position_ + span_.batch - 1) / span_.batch;
      left = std::min({left, max_steps - done_steps, kMostSteps});
      if (left > 1)
        left = std::clamp<std::int64_t>(
            per_step_ > 0 ? static_cast<std::int64_t>(kChunkSeconds / per_step_) : 4, 1, left);
      const Clock::time_point chunk = Clock::now();
      upload_step();
      // Binding makes the table of numbers, so it comes first.
      refresh_copies(recorded(std::min(span_.batch, last - position_)));
      upload_numbers(left, rates, rate_count);
      std::int64_t next = position_;
      for (std::int64_t i = 0; i < left; ++i) {
        launch_step(recorded(std::min(span_.batch, last - next)));
        next = std::min(next + span_.batch, last);
      }
      if (!resident_) {
        try {
          parts_->prefetch();
        } catch (...) {  // the steps of this part are told of first
          error = std::current_exception();
        }
      }
      std::int64_t ran = left;
      if (may_fail()) {
        ran = steps_over();
      } else {
        gpu_.synchronize(device_);
      }
      position_ = ran < left ? first + ran * span_.batch : next;
      if (ran < left) error = failure(recorded(std::min(span_.batch, last - position_)));
      per_step_ = seconds_since(chunk) / static_cast<double>(std::max<std::int64_t>(ran, 1));
      step += ran;
      steps_in_span_ += ran;
      done_steps += ran;
      if (!resident_ && position_ == loaded_last_) end_part();
      if (seconds > 0 && seconds_since(start) > seconds) break;
    }
    read_results();
    read_nonfinite();
  } catch (...) {
    if (error == nullptr) error = std::current_exception();
  }
  bump_versions();
  if (error != nullptr) std::rethrow_exception(error);
  all_fine_ = nonfinite_.input < 0;
  return done_steps;
}

// The error of the step at `position_`, which failed. Steps behind it may have gone over its
// values, so its ops run once more; no variable has changed since.
std::exception_ptr GpuPlan::failure(const Recorded& recorded) {
  read_nonfinite();
  clear_status();
  {
    const auto held = gpu_.hold(device_);
    launch_ops(recorded);
  }
  std::vector<long long> codes(static_cast<std::size_t>(status_count_));
  gpu_.copy(device_, codes.data(), status_->data(), codes.size() * sizeof(long long),
            cuda::Direction::kToHost);
  for (const Launch& launch : recorded.launches) {
    const Work& work = *launch.work;
    if (work.input >= 0 || work.status < 0) continue;
    const long long code = codes[static_cast<std::size_t>(work.status)];
    if (code == kFine) continue;
    try {
      work.op->report({launch.in, launch.out, work.attrs, nullptr, nullptr, gpu_.stream(device_)},
                      code);
    } catch (...) {
      return std::current_exception();
    }
  }
  return std::make_exception_ptr(
      std::runtime_error("plan: a step failed on the GPU, but not when it was run once more"));
}

// ---- looking inside -----------------------------------------------------------------------------

std::string GpuPlan::explain() const {
  std::ostringstream out;
  out << "plan on " << to_string(device_) << " for batches of up to " << capacity_ << " rows, "
      << arena_bytes_ << " bytes of work memory, " << works_.size() << " launches, "
      << bytes_moved() << " bytes read and written\n";
  for (const Work& work : works_) out << "  " << work.label << '\n';
  if (!copies_.empty())
    out << "  kept from step to step: 16-bit numbers of " << copies_.size() << " variables\n";
  for (const Updates& group : updates_)
    out << "  update of " << group.targets.size() << " variables, " << dtype_name(group.dtype)
        << '\n';
  for (const Assign& assign : assigns_)
    out << "  assign " << assign.variable->name()
        << (places_[assign.value].variable == assign.variable ? ", in place\n" : "\n");
  return out.str();
}

std::vector<std::pair<std::string, double>> GpuPlan::profile(std::int64_t steps, double rate) {
  std::vector<std::pair<std::string, double>> times;
  for (const Work& work : works_) times.emplace_back(work.label, 0);
  times.emplace_back("updates and assignments", 0);
  std::int64_t ran = 0;
  for (; ran < steps && !done(); ++ran) {
    const std::int64_t last = upload_rows();
    upload_step();
    const Recorded& now = recorded(std::min(span_.batch, last - position_));
    upload_numbers(1, &rate, 1);
    refresh_copies(now);
    const auto held = gpu_.hold(device_);
    const auto timed = [&](std::size_t at, const auto& work) {
      const Clock::time_point start = Clock::now();
      work();
      gpu_.synchronize(device_);
      times[at].second += seconds_since(start);
    };
    for (std::size_t i = 0; i < now.launches.size(); ++i)
      timed(i, [&] { launch_one(now, now.launches[i]); });
    timed(now.launches.size(), [&] { launch_updates(now); });
    position_ = std::min(position_ + span_.batch, last);
    ++steps_in_span_;
    step += optimizer_ ? 1 : 0;
  }
  bump_versions();
  for (auto& [label, time] : times) time /= static_cast<double>(std::max<std::int64_t>(ran, 1));
  return times;
}

}  // namespace densa
