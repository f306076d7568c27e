// On the CPU a row-major gradient is read where it lies. Panels take it in tiles: each tile is laid
// out in a block of the thread's own that stays in its cache, so the gradient in panels never goes
// to memory. On a GPU one call of the backend steps all variables.
#include "tensor/optimizer_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/panel.h"
#include "base/threads.h"
#include "ops/backend.h"
#include "ops/dense/dense.h"
#include "tensor/tensor.h"

namespace densa {
namespace {

// Waking a thread costs about what a step on this many numbers takes.
constexpr std::int64_t kGrain = std::int64_t{1} << 15;
// A tile at most: runs of 8 KiB in every slot, and of eight cache lines in each row of the
// gradient.
constexpr std::int64_t kTileRows = 128, kTilePanels = 8;

// The size of the equal parts, of at most `most`, that n > 0 is cut into.
constexpr std::int64_t part_of(std::int64_t n, std::int64_t most) {
  const std::int64_t parts = (n + most - 1) / most;
  return (n + parts - 1) / parts;
}

void check(const StepTarget& target, const StepMaker& maker) {
  const TypeInfo& type = target.variable->type();
  const std::string& name = target.variable->name();
  if (!is_floating(type.dtype))
    throw TypeError(cat("optimizer_step: '", name, "' is ", dtype_name(type.dtype),
                        "; only floating variables can be trained"));
  as_tensor(target.gradient, "optimizer_step");
  if (!(target.gradient->type == type))
    throw ShapeError(cat("optimizer_step: '", name, "' is ", dtype_name(type.dtype),
                         to_string(type.shape), " but its gradient is ",
                         dtype_name(target.gradient->type.dtype),
                         to_string(target.gradient->type.shape)));
  const OptimizerKernel& kernel = maker.kernel();
  if (static_cast<int>(target.slots.size()) != kernel.slot_count)
    throw ValueError(cat("optimizer_step: '", name, "' has ", target.slots.size(), " slots, ",
                         kernel.name, " needs ", kernel.slot_count));
  for (const auto& slot : target.slots)
    if (!(slot->type() == type) || slot->layout() != target.variable->layout() ||
        !(slot->device() == target.variable->device()))
      throw ValueError(
          cat("optimizer_step: a slot of '", name, "' has another type, layout or device"));
}

bool overlap(const Variable& variable, const void* data, std::size_t bytes) {
  const auto* a = static_cast<const std::byte*>(variable.data());
  const auto* b = static_cast<const std::byte*>(data);
  const auto size =
      static_cast<std::size_t>(variable.padded_size()) * item_size(variable.type().dtype);
  const std::less<> before;
  return before(a, b + bytes) && before(b, a + size);
}

// The gradient beside its variable.
TensorPtr gradient_of(const StepTarget& target) {
  return to_device(as_tensor_ptr(target.gradient, "optimizer_step"), target.variable->device());
}

// The gradient in row-major memory of its own: kernels do not take one that they write to.
TensorPtr row_major(const StepTarget& target) {
  const TensorPtr gradient = gradient_of(target);
  if (!gradient->contiguous) return copy_tensor(*gradient);
  const auto bytes = static_cast<std::size_t>(element_count(gradient->type.shape)) *
                     item_size(gradient->type.dtype);
  bool shared = overlap(*target.variable, gradient->data(), bytes);
  for (const auto& slot : target.slots) shared |= overlap(*slot, gradient->data(), bytes);
  return shared ? copy_tensor(*gradient) : gradient;
}

template <class T>
struct Step {
  StepFn<T> run;
  T* w;
  T* slots[kMaxSlots];
  int slot_count;
  StepNumbers<T> numbers;

  void operator()(std::int64_t at, const T* g, std::int64_t n) const {
    T* here[kMaxSlots] = {};
    for (int i = 0; i < slot_count; ++i) here[i] = slots[i] + at;
    run(w + at, g, here, n, numbers);
  }
};

// The numbers of a variable side by side; the padding behind the last one is not touched.
template <class T>
void step_rows(const Step<T>& step, const T* g, std::int64_t count) {
  parallel_for(panel_count(count), kGrain / kPanel, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * kPanel;
    step(first, g + first, std::min(end * kPanel, count) - first);
  });
}

// The padding columns have a gradient of zero.
template <class T>
void step_panels(const Step<T>& step, const View& g) {
  const std::int64_t rows = g.shape[0], cols = g.shape[1];
  if (rows == 0 || cols == 0) return;
  const std::int64_t height = padded(part_of(rows, kTileRows));
  const std::int64_t panels = part_of(panel_count(cols), kTilePanels);
  const std::int64_t across = (panel_count(cols) + panels - 1) / panels;
  const std::int64_t down = (rows + height - 1) / height;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / (height * panels * kPanel));
  parallel_for(down * across, grain, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) T block[kTileRows * kTilePanels * kPanel];
    const Panels<T> tile{block, kTileRows * kPanel};
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = i / across * height, panel = i % across * panels;
      const std::int64_t here = std::min(height, rows - row);
      const std::int64_t width = std::min(panels * kPanel, cols - panel * kPanel);
      dense_kernels<T>().pack(
          {.data = g.as<const T>() + row * g.strides[0] + panel * kPanel * g.strides[1],
           .row_stride = g.strides[0],
           .col_stride = g.strides[1],
           .y = tile,
           .cols = width,
           .row_begin = 0,
           .row_end = here});
      for (std::int64_t p = 0; p < panel_count(width); ++p)
        step(((panel + p) * rows + row) * kPanel, tile.panel(p), here * kPanel);
    }
  });
}

template <class T>
void step_target(StepMaker& maker, const StepTarget& target, std::int64_t iteration, double rate,
                 double grad_scale) {
  const Variable& variable = *target.variable;
  Step<T> step{step_of<T>(maker.kernel()),
               static_cast<T*>(variable.data()),
               {},
               static_cast<int>(target.slots.size()),
               maker.numbers<T>(iteration, rate, grad_scale, target.decay)};
  for (int i = 0; i < step.slot_count; ++i)
    step.slots[i] = static_cast<T*>(target.slots[i]->data());
  if (variable.layout() == Layout::kRows) {
    const TensorPtr gradient = row_major(target);
    step_rows(step, static_cast<const T*>(gradient->data()), element_count(variable.type().shape));
  } else {
    step_panels(step, gradient_of(target)->view());
  }
}

void step_on_cpu(StepMaker& maker, const StepTarget& target, std::int64_t iteration, double rate,
                 double grad_scale) {
  if (target.variable->type().dtype == DType::kFloat32) {
    step_target<float>(maker, target, iteration, rate, grad_scale);
  } else {
    step_target<double>(maker, target, iteration, rate, grad_scale);
  }
}

// ---- norms on the CPU --------------------------------------------------------------------------

template <class T>
double squares(const TensorNode& gradient) {
  const auto* const g = static_cast<const T*>(gradient.data());
  const std::int64_t n = element_count(gradient.type.shape);
  std::vector<double> parts(static_cast<std::size_t>((n + kGrain - 1) / kGrain));
  parallel_for(static_cast<std::int64_t>(parts.size()), 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   parts[static_cast<std::size_t>(i)] =
                       sum_squares(g + i * kGrain, std::min(kGrain, n - i * kGrain));
               });
  double total = 0;
  for (double part : parts) total += part;
  return total;
}

double squares(const StepTarget& target) {
  const TensorPtr gradient = make_contiguous(gradient_of(target));
  return gradient->type.dtype == DType::kFloat32 ? squares<float>(*gradient)
                                                 : squares<double>(*gradient);
}

void step_on_cpu(StepMaker& maker, std::span<const StepTarget* const> targets,
                 std::int64_t iteration, double rate, const NormLimits& limits) {
  double factor = 1;
  if (limits.all > 0) {
    double total = 0;
    for (const StepTarget* target : targets) total += squares(*target);
    factor = clip_factor(std::sqrt(total), limits.all);
  }
  for (const StepTarget* target : targets) {
    if (limits.all <= 0 && limits.each > 0)
      factor = clip_factor(std::sqrt(squares(*target)), limits.each);
    step_on_cpu(maker, *target, iteration, rate, factor);
  }
}

// ---- a GPU -------------------------------------------------------------------------------------

// What one step brings to a GPU, before the targets: the numbers without and with weight decay.
struct Numbers {
  StepNumbers<float> f32[2];
  StepNumbers<double> f64[2];
};

void step_on_gpu(Device device, StepMaker& maker, std::span<const StepTarget* const> targets,
                 std::int64_t iteration, double rate, const NormLimits& limits) {
  Numbers numbers;
  for (int decay = 0; decay < 2; ++decay) {
    numbers.f32[decay] = maker.numbers<float>(iteration, rate, 1, decay != 0);
    numbers.f64[decay] = maker.numbers<double>(iteration, rate, 1, decay != 0);
  }
  std::vector<TensorPtr> gradients;  // which live until all is launched
  std::vector<DeviceTarget> table;
  std::vector<DeviceTargets> groups;
  std::vector<std::size_t> firsts;  // of each group in the table
  for (DType dtype : {DType::kFloat32, DType::kFloat64}) {
    const std::size_t first = table.size();
    for (const StepTarget* target : targets) {
      const Variable& variable = *target->variable;
      if (variable.type().dtype != dtype) continue;
      gradients.push_back(row_major(*target));
      DeviceTarget one{variable.data(),
                       gradients.back()->data(),
                       {},
                       element_count(variable.type().shape),
                       0,
                       target->decay ? 1 : 0,
                       dtype,
                       nullptr,
                       dtype,
                       dtype};
      for (std::size_t i = 0; i < target->slots.size(); ++i)
        one.slots[i] = target->slots[i]->data();
      table.push_back(one);
    }
    if (table.size() == first) continue;
    const std::span<DeviceTarget> mine = std::span(table).subspan(first);
    groups.push_back(
        {dtype, nullptr, static_cast<int>(mine.size()), cut_into_pieces(mine), nullptr});
    firsts.push_back(first);
  }

  const std::size_t table_bytes = table.size() * sizeof(DeviceTarget);
  std::vector<std::byte> host(sizeof numbers + table_bytes);
  std::memcpy(host.data(), &numbers, sizeof numbers);
  std::memcpy(host.data() + sizeof numbers, table.data(), table_bytes);
  const auto uploaded = allocate_on(device, host.size());
  auto* const there = static_cast<std::byte*>(uploaded->data());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].targets = reinterpret_cast<const DeviceTarget*>(there + sizeof numbers) + firsts[i];
    groups[i].numbers = there + (groups[i].dtype == DType::kFloat32 ? offsetof(Numbers, f32)
                                                                    : offsetof(Numbers, f64));
  }
  Backend& gpu = backend();
  DeviceUpdate update{.kind = maker.kernel().name,
                      .groups = groups,
                      .clip_norm = limits.each,
                      .global_clip_norm = limits.all,
                      .stream = gpu.stream(device)};
  std::shared_ptr<Storage> scratch;
  if (const std::size_t bytes = gpu.update_scratch_bytes(update); bytes > 0) {
    scratch = allocate_on(device, bytes);
    update.scratch = scratch->data();
  }
  const auto held = gpu.hold(device);
  gpu.copy(device, there, host.data(), host.size(), cuda::Direction::kToDevice);
  gpu.update(update);
}

}  // namespace

void optimizer_step(StepMaker& maker, std::span<const StepTarget> targets, std::int64_t iteration,
                    double rate, const NormLimits& limits) {
  std::vector<std::pair<Device, std::vector<const StepTarget*>>> by_device;
  for (const StepTarget& target : targets) {
    if (target.gradient == nullptr) continue;
    check(target, maker);
    const Device device = target.variable->device();
    auto at = std::ranges::find_if(by_device, [&](auto& one) { return one.first == device; });
    if (at == by_device.end()) at = by_device.insert(at, {device, {}});
    at->second.push_back(&target);
  }
  if (limits.all > 0 && by_device.size() > 1)
    throw ValueError(cat("optimizer_step: the variables lie on ", to_string(by_device[0].first),
                         " and ", to_string(by_device[1].first),
                         "; a limit on their common norm needs them on one device"));
  for (const auto& [device, here] : by_device) {
    if (device.is_cpu()) {
      step_on_cpu(maker, here, iteration, rate, limits);
    } else {
      step_on_gpu(device, maker, here, iteration, rate, limits);
    }
    for (const StepTarget* target : here) {
      target->variable->bump_version();
      for (const auto& slot : target->slots) slot->bump_version();
    }
  }
}

}  // namespace densa
