// A GPU's plan bound to a number of rows: the views and tables that its launches read.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "graph/gpu_plan.h"

namespace densa {

void* GpuPlan::address(const Recorded& recorded, int value) const {
  const Place& place = places_[value];
  switch (place.kind) {
    case Place::kVariable: return place.variable->data();
    case Place::kFixed: return place.fixed->data();
    case Place::kArena:
      if (!separate_.empty()) return separate_[static_cast<std::size_t>(place.buffer)]->data();
      return static_cast<std::byte*>(arena_->data()) +
             offsets_[static_cast<std::size_t>(place.buffer)];
    case Place::kInput: return sources_[static_cast<std::size_t>(place.input)]->data();
    case Place::kRowCount:
      return static_cast<std::byte*>(recorded.row_counts->data()) +
             8 * static_cast<std::size_t>(place.count);
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
      visit_dtype(type(row_counts_[i].value).dtype, [&](auto zero) {
        const auto count = static_cast<decltype(zero)>(with_rows(row_counts_[i].dim, rows));
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
  made->scratch = scratch_for(rows);
  bind_updates(*made);
  recorded_.push_back(std::move(made));
  return *recorded_.back();
}

// Not that of a full batch: fewer rows can need more, as their products are cut into parts.
std::shared_ptr<Storage> GpuPlan::scratch_for(std::int64_t rows) {
  std::size_t bytes = 0;
  for (const std::vector<Work>* works : {&works_, &copy_works_})
    for (const Work& work : *works) {
      if (work.op->scratch_bytes == nullptr) continue;
      std::vector<TypeInfo> types;
      for (int id : work.in) types.push_back({type(id).dtype, with_rows(type(id).shape, rows)});
      bytes = std::max(bytes, work.op->scratch_bytes(types, work.attrs));
    }
  if (bytes > 0 && (scratch_ == nullptr || scratch_->bytes() < bytes))
    scratch_ = allocate_on(device_, bytes);
  return scratch_;
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
      one.g_dtype = type(group.gradients[i]).dtype;
      if (const auto copy = copies_.find(target.variable.get()); copy != copies_.end()) {
        one.copy = address(recorded, copy->second.value);
        one.copy_dtype = type(copy->second.value).dtype;
        one.rounded = copy->second.rounded;
      }
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
  update.unscale = 1 / optimizer_->loss_scale_factor;
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

}  // namespace densa
