#include "graph/gpu_plan.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "graph/gpu_fuse.h"
#include "graph/gpu_rows.h"
#include "graph/internal_ops.h"
#include "graph/plan.h"
#include "graph/stage.h"

namespace densa {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kChunkSeconds = 0.01;     // between looks at the clock
constexpr std::int64_t kMostSteps = 4096;  // whose learning rates are sent at once

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
  fuse_for_gpu(program, optimizer != nullptr);
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

// ---- places -----------------------------------------------------------------------------------

std::size_t GpuPlan::bytes_of(int value) const {
  return byte_count(with_rows(type(value).shape, capacity_), item_size(type(value).dtype));
}

int GpuPlan::new_buffer(int value) {
  const int now = static_cast<int>(works_.size());
  buffers_.push_back({bytes_of(value), now, now});
  places_[value] = {Place::kArena, nullptr, nullptr, static_cast<int>(buffers_.size()) - 1, -1};
  return places_[value].buffer;
}

void GpuPlan::touch(int value) {
  Place& place = places_[value];
  if (place.kind == Place::kNowhere) {
    const ProgramValue& known = program_.values[value];
    if (known.source == Source::kVariable) {
      place.kind = Place::kVariable;
      place.variable = known.variable;
    } else if (known.source == Source::kConstant) {
      place.kind = Place::kFixed;
      const TensorPtr here = known.constant != nullptr ? as_tensor_ptr(known.constant, "plan")
                                                       : full_tensor(known.type, known.number);
      place.fixed = make_contiguous(to_device(here, device_))->storage;
    } else {
      throw ValueError(cat("plan: value %", value, " is read before it is made"));
    }
  }
  if (place.kind == Place::kArena)
    buffers_[place.buffer].last =
        std::max(buffers_[place.buffer].last, static_cast<int>(works_.size()));
}

void GpuPlan::place_values(const std::vector<std::string>& collect) {
  for (std::size_t i = 0; i < program_.inputs.size(); ++i)
    places_[program_.inputs[i]] = {Place::kInput, nullptr, nullptr, -1, static_cast<int>(i)};
  for (const ProgramNode& node : program_.nodes)
    if (node.kind == NodeKind::kOp) add(node);
  int result = 0;
  for (const std::string& name : collect) add_result(name, result++);
  if (optimizer_ != nullptr && optimizer_->loss_scale != nullptr)
    written_.insert(written_.end(), {optimizer_->loss_scale, optimizer_->good_steps});
  // Variables change at the end: everything above reads them as they were at the start.
  for (const ProgramNode& node : program_.nodes) {
    if (node.kind == NodeKind::kOp) continue;
    touch(node.in[0]);
    written_.push_back(node.variable);
    if (node.kind == NodeKind::kAssign) {
      assigns_.push_back({node.variable, node.in[0]});
      continue;
    }
    const auto target = std::find_if(
        optimizer_->targets.begin(), optimizer_->targets.end(),
        [&](const OptimizerPlan::Target& one) { return one.variable == node.variable; });
    const DType dtype = node.variable->type().dtype;
    auto group = std::find_if(updates_.begin(), updates_.end(),
                              [&](const Updates& one) { return one.dtype == dtype; });
    if (group == updates_.end()) {
      updates_.emplace_back();
      group = std::prev(updates_.end());
      group->dtype = dtype;
    }
    group->targets.push_back(&*target);
    group->gradients.push_back(node.in[0]);
    for (const auto& slot : target->slots) written_.push_back(slot);
  }
}

bool GpuPlan::readers_take_strides(int value) const {
  for (const auto& [name, id] : program_.outputs)
    if (id == value) return false;
  for (const ProgramNode& node : program_.nodes) {
    if (std::find(node.in.begin(), node.in.end(), value) == node.in.end()) continue;
    if (node.kind != NodeKind::kOp || node.op->alias) return false;
    const DeviceOp* op = gpu_.find(node.op->name);
    if (op == nullptr || !op->any_strides) return false;
  }
  return true;
}

void GpuPlan::add(const ProgramNode& node) {
  if (std::string_view(node.op->name) == "row_count") {
    places_[node.out[0]].kind = Place::kRowCount;
    row_counts_.push_back(node.out[0]);
    return;
  }
  const bool feeds = node.op == &feed_op();
  for (int id : node.in)
    if (!feeds) touch(id);
  if (node.op->alias) {  // the same memory under another name
    places_[node.out[0]] = places_[node.in[0]];
    return;
  }
  if (std::string_view(node.op->name) == "broadcast_to" && readers_take_strides(node.out[0])) {
    places_[node.out[0]] = places_[node.in[0]];
    places_[node.out[0]].spread = node.in[0];
    return;
  }
  Work work{&device_op(node.op->name), node.in, node.out, node.attrs, -1, -1, -1, {}};
  work.label = node.op == &loss_pair_op() ? "softmax loss" : node.op->name;
  for (int id : node.in) work.label += cat(" %", id);
  work.label += cat(" -> %", node.out[0]);
  if (feeds) {
    work.input = places_[node.in[0]].input;
    work.status = work.input;
  } else if (work.op->fails(work.attrs)) {
    work.status = status_count_++;
  }
  const bool may_fail = status_count_ > static_cast<int>(program_.inputs.size());
  for (int id : node.out) {
    if (auto variable = may_fail ? nullptr : assigned_in_place(program_, node, id)) {
      places_[id] = {Place::kVariable, std::move(variable), nullptr, -1, -1};
    } else {
      new_buffer(id);
    }
  }
  works_.push_back(std::move(work));
}

void GpuPlan::add_result(const std::string& name, int result) {
  for (const auto& [output, id] : program_.outputs) {
    if (output != name) continue;
    if (type(id).shape.empty() || type(id).shape[0] != kRows)
      throw ValueError(cat("plan: output '", name, "' has no batch axis"));
    touch(id);
    Work work{&device_op("emit"), {id}, {}, {}, -1, result, -1, cat("result ", name)};
    works_.push_back(std::move(work));
    results_.push_back(id);
    return;
  }
  throw ValueError(cat("plan: no output named '", name, "'"));
}

void GpuPlan::place_arena() {
  std::vector<BufferLife> lives;
  for (const Buffer& buffer : buffers_) lives.push_back({buffer.bytes, buffer.first, buffer.last});
  if (gpu_.emulated()) {  // nobody shares: the emulation checks that each stays in its own
    const int end = static_cast<int>(works_.size());
    for (BufferLife& life : lives) life = {life.bytes, 0, end};
  }
  const ArenaPlan plan = place_buffers(lives);
  offsets_ = plan.offsets;
  arena_bytes_ = std::max<std::size_t>(plan.bytes, 64);
  arena_ = zeros_on(device_, arena_bytes_);
  if (gpu_.emulated())
    for (std::size_t b = 0; b < buffers_.size(); ++b)
      gpu_.mark_part(static_cast<std::byte*>(arena_->data()) + offsets_[b], buffers_[b].bytes);
  std::size_t scratch = 0;
  for (const Work& work : works_) {
    if (work.op->scratch_bytes == nullptr) continue;
    std::vector<TypeInfo> types;
    for (int id : work.in) types.push_back({type(id).dtype, with_rows(type(id).shape, capacity_)});
    scratch = std::max(scratch, work.op->scratch_bytes(types, work.attrs));
  }
  if (scratch > 0) scratch_ = allocate_on(device_, scratch);
}

// ---- binding to a number of rows ----------------------------------------------------------------

void* GpuPlan::address(const Recorded& recorded, int value) const {
  const Place& place = places_[value];
  switch (place.kind) {
    case Place::kVariable: return place.variable->data();
    case Place::kFixed: return place.fixed->data();
    case Place::kArena:
      return static_cast<std::byte*>(arena_->data()) +
             offsets_[static_cast<std::size_t>(place.buffer)];
    case Place::kInput: return sources_[static_cast<std::size_t>(place.input)]->data();
    case Place::kRowCount: {
      const auto at = std::find(row_counts_.begin(), row_counts_.end(), value);
      return static_cast<std::byte*>(recorded.row_counts->data()) + 8 * (at - row_counts_.begin());
    }
    case Place::kNowhere: break;
  }
  throw ValueError(cat("plan: value %", value, " has no place"));
}

View GpuPlan::view(const Recorded& recorded, int value) const {
  const Dims shape = with_rows(type(value).shape, recorded.rows);
  if (const int from = places_[value].spread; from >= 0) {
    const View narrow = view(recorded, from);
    const int added = shape.rank() - narrow.shape.rank();
    Dims strides = shape;
    for (int i = 0; i < shape.rank(); ++i)
      strides[i] = i < added || narrow.shape[i - added] == 1 ? 0 : narrow.strides[i - added];
    return {narrow.data, narrow.dtype, shape, strides};
  }
  return {address(recorded, value), type(value).dtype, shape, contiguous_strides(shape)};
}

void GpuPlan::forget_recorded() {
  for (const auto& one : recorded_)
    if (one->graph != nullptr) gpu_.destroy(one->graph);
  recorded_.clear();
}

GpuPlan::Recorded& GpuPlan::recorded(std::int64_t rows) {
  std::vector<const void*> memory;
  for (const Place& place : places_)
    if (place.kind == Place::kVariable) memory.push_back(place.variable->data());
  for (const auto& variable : written_) memory.push_back(variable->data());
  for (const auto& source : sources_) memory.push_back(source->data());
  for (const auto& result : result_rows_) memory.push_back(result->data());
  memory.push_back(order_ == nullptr ? nullptr : order_->data());
  // Numbers that the views and attributes of a launch hold, too.
  const auto number = [&](std::int64_t n) { memory.push_back(reinterpret_cast<const void*>(n)); };
  number(span_.batch);
  number(resident_ ? span_.end : part_rows_);
  for (const SourceArray& source : span_.sources) number(resident_ ? source.rows : 0);
  if (memory != bound_) forget_recorded();
  bound_ = std::move(memory);
  for (const auto& one : recorded_)
    if (one->rows == rows) return *one;

  auto made = std::make_unique<Recorded>();
  made->rows = rows;
  if (!row_counts_.empty()) {
    std::vector<std::byte> numbers(8 * row_counts_.size());
    for (std::size_t i = 0; i < row_counts_.size(); ++i)
      visit_dtype(type(row_counts_[i]).dtype, [&](auto zero) {
        const auto count = static_cast<decltype(zero)>(rows);
        std::memcpy(&numbers[8 * i], &count, sizeof count);
      });
    made->row_counts = allocate_on(device_, numbers.size());
    put(made->row_counts, numbers.data(), numbers.size());
  }
  for (const Work& work : works_) {
    Launch launch{&work, {}, {}};
    if (work.input >= 0) {
      const std::int64_t held =
          resident_ ? span_.sources[static_cast<std::size_t>(work.input)].rows : part_rows_;
      const Dims shape = with_rows(type(work.in[0]).shape, held);
      launch.in.push_back({sources_[static_cast<std::size_t>(work.input)]->data(),
                           type(work.in[0]).dtype, shape, contiguous_strides(shape)});
      if (order_ != nullptr) launch.in.push_back({order_->data(), DType::kInt64, {span_.end}, {1}});
    } else {
      for (int id : work.in) launch.in.push_back(view(*made, id));
    }
    for (int id : work.out) launch.out.push_back(view(*made, id));
    if (work.result >= 0) {
      const auto& storage = result_rows_[static_cast<std::size_t>(work.result)];
      Dims shape = launch.in[0].shape;
      shape[0] = resident_ ? span_.end : part_rows_;
      launch.out.push_back({storage->data(), launch.in[0].dtype, shape, contiguous_strides(shape)});
    }
    made->launches.push_back(std::move(launch));
  }
  bind_updates(*made);
  recorded_.push_back(std::move(made));
  return *recorded_.back();
}

void GpuPlan::bind_updates(Recorded& recorded) {
  for (Updates& group : updates_) {
    std::vector<DeviceTarget> table;
    for (std::size_t i = 0; i < group.targets.size(); ++i) {
      const OptimizerPlan::Target& target = *group.targets[i];
      if (static_cast<int>(target.slots.size()) != maker_->kernel().slot_count)
        throw ValueError(cat("plan: optimizer ", optimizer_->kind, " needs ",
                             maker_->kernel().slot_count, " slots for '", target.variable->name(),
                             "', got ", target.slots.size()));
      DeviceTarget one{};
      one.w = target.variable->data();
      one.g = address(recorded, group.gradients[i]);
      for (std::size_t k = 0; k < target.slots.size(); ++k) one.slots[k] = target.slots[k]->data();
      one.n = element_count(target.variable->type().shape);
      one.decay = target.decay ? 1 : 0;
      table.push_back(one);
    }
    const std::int64_t pieces = cut_into_pieces(table);
    // Each number of rows has a table of its own: gradients may lie elsewhere, and what was
    // captured reads it.
    recorded.tables.push_back(allocate_on(device_, table.size() * sizeof(DeviceTarget)));
    put(recorded.tables.back(), table.data(), table.size());
    if (group.numbers == nullptr)
      group.numbers =
          allocate_on(device_, static_cast<std::size_t>(kMostSteps) * 2 *
                                   (group.dtype == DType::kFloat64 ? sizeof(StepNumbers<double>)
                                                                   : sizeof(StepNumbers<float>)));
    recorded.groups.push_back({group.dtype,
                               static_cast<const DeviceTarget*>(recorded.tables.back()->data()),
                               static_cast<int>(table.size()), pieces, group.numbers->data()});
  }
  if (recorded.groups.empty()) return;
  if (const std::size_t bytes = gpu_.update_scratch_bytes(update_of(recorded)); bytes > 0)
    if (update_scratch_ == nullptr) update_scratch_ = allocate_on(device_, bytes);
}

DeviceUpdate GpuPlan::update_of(const Recorded& recorded) const {
  DeviceUpdate update;
  update.kind = maker_->kernel().name;
  update.groups = recorded.groups;
  update.clip_norm = optimizer_->clip_norm;
  update.global_clip_norm = optimizer_->global_clip_norm;
  if (optimizer_->loss_scale != nullptr) {
    update.loss_scale = static_cast<float*>(optimizer_->loss_scale->data());
    update.good_steps = static_cast<std::int32_t*>(optimizer_->good_steps->data());
    update.growth_steps = optimizer_->growth_steps;
  }
  update.scratch = update_scratch_ == nullptr ? nullptr : update_scratch_->data();
  update.stream = gpu_.stream(device_);
  update.step = device_step();
  return update;
}

// ---- launching ----------------------------------------------------------------------------------

void GpuPlan::launch_one(const Launch& launch) {
  const Work& work = *launch.work;
  DeviceCall call{
      launch.in,
      launch.out,
      work.attrs,
      scratch_ == nullptr ? nullptr : scratch_->data(),
      work.status < 0 ? nullptr : static_cast<long long*>(status_->data()) + work.status,
      gpu_.stream(device_),
      device_step()};
  run_on_gpu(*work.op, call);
}

void GpuPlan::launch_updates(const Recorded& recorded) {
  if (!recorded.groups.empty()) gpu_.update(update_of(recorded));
  static const DeviceOp& store = device_op("store");
  for (const Assign& assign : assigns_) {
    void* const from = address(recorded, assign.value);
    if (from == assign.variable->data()) continue;
    const auto& [dtype, shape] = assign.variable->type();
    const View x{from, dtype, shape, contiguous_strides(shape)};
    const View y{assign.variable->data(), dtype, shape, x.strides};
    store.eval({{&x, 1}, {&y, 1}, {}, nullptr, nullptr, gpu_.stream(device_), device_step()});
  }
}

void GpuPlan::launch_ops(const Recorded& recorded) {
  for (const Launch& launch : recorded.launches) launch_one(launch);
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
      recorded(std::min(span_.batch, last - position_));
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
  for (const auto& variable : written_) variable->bump_version();
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
      << arena_bytes_ << " bytes of work memory, " << works_.size() << " launches\n";
  for (const Work& work : works_) out << "  " << work.label << '\n';
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
    const auto held = gpu_.hold(device_);
    const auto timed = [&](std::size_t at, const auto& work) {
      const Clock::time_point start = Clock::now();
      work();
      gpu_.synchronize(device_);
      times[at].second += seconds_since(start);
    };
    for (std::size_t i = 0; i < now.launches.size(); ++i)
      timed(i, [&] { launch_one(now.launches[i]); });
    timed(now.launches.size(), [&] { launch_updates(now); });
    position_ = std::min(position_ + span_.batch, last);
    ++steps_in_span_;
    step += optimizer_ ? 1 : 0;
  }
  for (const auto& variable : written_) variable->bump_version();
  for (auto& [label, time] : times) time /= static_cast<double>(std::max<std::int64_t>(ran, 1));
  return times;
}

}  // namespace densa
