// Where the values of a GPU's plan lie, and the list of ops that make them.
#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "base/sharing.h"
#include "graph/gpu_fuse.h"
#include "graph/gpu_plan.h"
#include "graph/internal_ops.h"
#include "graph/stage.h"
#include "ops/round_all/round_all.h"

namespace densa {

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

// Copies follow updates, but no assignments.
bool GpuPlan::can_keep_copies(const ProgramNode& node) const {
  return node.op == &round_all_op() && std::ranges::all_of(node.in, [&](int id) {
           const auto& variable = program_.values[id].variable;
           return copies_.count(variable.get()) == 0 &&
                  std::ranges::none_of(program_.nodes, [&](const ProgramNode& other) {
                    return other.kind == NodeKind::kAssign && other.variable == variable;
                  });
         });
}

void GpuPlan::keep_copies(const ProgramNode& node) {
  const DType rounded = dtype_from_name(node.attrs.get_string("format", ""));
  for (std::size_t i = 0; i < node.in.size(); ++i) {
    buffers_[new_buffer(node.out[i])] = {bytes_of(node.out[i]), 0, INT_MAX};
    copies_[program_.values[node.in[i]].variable.get()] = {node.out[i], rounded};
  }
  copy_works_.push_back(
      {&device_op(node.op->name), node.in, node.out, node.attrs, -1, -1, -1, "copies"});
}

void GpuPlan::add(const ProgramNode& node) {
  if (std::string_view(node.op->name) == "row_count") {
    places_[node.out[0]].kind = Place::kRowCount;
    places_[node.out[0]].count = static_cast<int>(row_counts_.size());
    row_counts_.push_back({node.out[0], type(node.in[0]).shape[0]});
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
  if (can_keep_copies(node)) return keep_copies(node);
  Work work{&device_op(node.op->name), node.in, node.out, node.attrs, -1, -1, -1, {}};
  work.label = node.op == &loss_pair_op() ? "softmax loss" : node.op->name;
  if (work.op->multiplies && matmul_precision_ != MatmulPrecision::kHighest) {
    work.attrs = with_matmul_precision(work.attrs, matmul_precision_);
    work.label += cat(" (", name_of(matmul_precision_), ')');
  }
  for (int id : node.in) work.label += cat(" %", id);
  work.label += cat(" -> %", node.out[0]);
  if (feeds) {
    work.input = places_[node.in[0]].input;
    work.status = work.input;
  } else if (work.op->fails(work.attrs)) {
    work.status = status_count_++;
  }
  // The error is looked for when the step is over, and names the numbers that the op read.
  if (!feeds && work.status >= 0)
    for (int id : work.in)
      if (places_[id].kind == Place::kArena) buffers_[places_[id].buffer].last = INT_MAX;
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
    if (type(id).shape.empty() || !is_open(type(id).shape[0]))
      throw ValueError(cat("plan: output '", name, "' has no batch axis"));
    if (type(id).shape[0] != kRows)
      throw NeedsRows(cat("plan: output '", name, "' ", to_string(type(id).shape),
                          " has several rows for each of the batch"));
    touch(id);
    Work work{&device_op("emit"), {id}, {}, {}, -1, result, -1, cat("result ", name)};
    works_.push_back(std::move(work));
    results_.push_back(id);
    return;
  }
  throw ValueError(cat("plan: no output named '", name, "'"));
}

void GpuPlan::place_arena() {
  if (gpu_.separate_buffers()) {
    for (const Buffer& buffer : buffers_) {
      separate_.push_back(allocate_on(device_, std::max<std::size_t>(buffer.bytes, 1)));
      arena_bytes_ += buffer.bytes;
    }
    return;
  }
  std::vector<BufferLife> lives;
  for (const Buffer& buffer : buffers_) lives.push_back({buffer.bytes, buffer.first, buffer.last});
  const bool shares = shares_memory(gpu_.emulated());
  if (!shares) {  // the emulation checks that each stays in its own
    const int end = static_cast<int>(works_.size());
    for (BufferLife& life : lives) life = {life.bytes, 0, end};
  }
  const ArenaPlan plan = place_buffers(lives);
  offsets_ = plan.offsets;
  arena_bytes_ = std::max<std::size_t>(plan.bytes, 64);
  arena_ = zeros_on(device_, arena_bytes_);
  if (!shares)
    for (std::size_t b = 0; b < buffers_.size(); ++b)
      gpu_.mark_part(static_cast<std::byte*>(arena_->data()) + offsets_[b], buffers_[b].bytes);
}

// What a full batch's step reads and writes, if each launch reads and writes its operands once.
std::size_t GpuPlan::bytes_moved() const {
  std::size_t bytes = 0;
  const auto add = [&](int value) {
    if (const int from = places_[value].spread; from >= 0) value = from;
    bytes += bytes_of(value);
  };
  for (const Work& work : works_) {
    std::ranges::for_each(work.in, add);
    std::ranges::for_each(work.out, add);
    if (work.result >= 0) add(work.in[0]);
  }
  for (const Updates& group : updates_) {
    std::ranges::for_each(group.gradients, add);
    for (const OptimizerPlan::Target* target : group.targets) {
      bytes += 2 * (1 + target->slots.size()) *
               byte_count(target->variable->type().shape, item_size(group.dtype));
      if (const auto copy = copies_.find(target->variable.get()); copy != copies_.end())
        add(copy->second.value);
    }
  }
  for (const Assign& assign : assigns_)
    if (places_[assign.value].variable != assign.variable) bytes += 2 * bytes_of(assign.value);
  return bytes;
}

}  // namespace densa
