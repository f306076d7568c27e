// The Backend of densa._cuda, over cuda/launch.h: the same on hardware and emulated.
#include "cuda/backend.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <vector>

#include "cuda/allocator.h"
#include "cuda/launch.h"

// Every op folder may define its evaluations; one that does not is missing. Those that only plans
// call are in no list of ops.
#define DENSA_OP_FOLDER(folder)                             \
  namespace densa::cuda_ops {                               \
  std::span<const DeviceOp> folder() __attribute__((weak)); \
  }
#include "ops/list.inc"
DENSA_OP_FOLDER(arithmetic)
DENSA_OP_FOLDER(feed)
DENSA_OP_FOLDER(network)
DENSA_OP_FOLDER(slope_sum)
#undef DENSA_OP_FOLDER

namespace densa::cuda_ops {
std::size_t update_scratch_bytes(const DeviceUpdate& update);  // ops/optimizer/optimizer.cu
void update(const DeviceUpdate& update);
}  // namespace densa::cuda_ops

namespace densa::cuda {
namespace {

constexpr int kMostDevices = 16;

struct DeviceState {
  explicit DeviceState(int device) : allocator(device), stream(create_stream(device)) {}
  Allocator allocator;
  Stream stream;
  std::recursive_mutex busy;
};

class CudaBackend final : public Backend {
 public:
  int device_count(std::string* why_none) override {
    return std::min(count_devices(why_none), kMostDevices);
  }
  DeviceFacts facts(Device device) override { return cuda::facts(device.gpu); }
  bool emulated() const override {
#if defined(DENSA_EMULATED)
    return true;
#else
    return false;
#endif
  }

  void* allocate(Device device, std::size_t bytes) override {
    return state(device).allocator.take(bytes);
  }
  void release(Device device, void* memory, std::size_t bytes) override {
    state(device).allocator.give(memory, bytes);
  }
  std::size_t free_memory(Device device) override {
    return cuda::free_memory(device.gpu) + state(device).allocator.kept_bytes();
  }
  std::size_t kept_bytes(Device device) override { return state(device).allocator.kept_bytes(); }
  void give_back(Device device) override { state(device).allocator.give_back(); }

  Stream stream(Device device) override { return state(device).stream; }
  std::unique_lock<std::recursive_mutex> hold(Device device) override {
    return std::unique_lock(state(device).busy);
  }
  void synchronize(Device device) override {
    const auto held = hold(device);
    cuda::synchronize(state(device).stream);
  }
  void copy(Device device, void* to, const void* from, std::size_t bytes,
            Direction direction) override {
    const auto held = hold(device);
    Stream const stream = state(device).stream;
    cuda::copy(stream, to, from, bytes, direction);
    if (direction != Direction::kOnDevice) cuda::synchronize(stream);
  }
  void fill_zero(Device device, void* memory, std::size_t bytes) override {
    const auto held = hold(device);
    cuda::fill_zero(state(device).stream, memory, bytes);
  }

  const DeviceOp* find(std::string_view op) override {
    static const auto* const ops = [] {
      auto* all = new std::vector<DeviceOp>;
#define DENSA_OP_FOLDER(folder)    \
  if (cuda_ops::folder != nullptr) \
    for (const DeviceOp& one : cuda_ops::folder()) all->push_back(one);
#include "ops/list.inc"
      DENSA_OP_FOLDER(arithmetic)
      DENSA_OP_FOLDER(feed)
      DENSA_OP_FOLDER(network)
      DENSA_OP_FOLDER(slope_sum)
#undef DENSA_OP_FOLDER
      std::sort(all->begin(), all->end(), [](const DeviceOp& a, const DeviceOp& b) {
        return std::strcmp(a.name, b.name) < 0;
      });
      return all;
    }();
    const auto at = std::lower_bound(
        ops->begin(), ops->end(), op,
        [](const DeviceOp& one, std::string_view name) { return one.name < name; });
    return at != ops->end() && at->name == op ? &*at : nullptr;
  }

  std::size_t update_scratch_bytes(const DeviceUpdate& update) override {
    return cuda_ops::update_scratch_bytes(update);
  }
  void update(const DeviceUpdate& update) override { cuda_ops::update(update); }

  void begin_capture(Device device) override { cuda::begin_capture(state(device).stream); }
  Graph* end_capture(Device device) override { return cuda::end_capture(state(device).stream); }
  void launch(Device device, Graph* graph) override {
    const auto held = hold(device);
    cuda::launch_graph(state(device).stream, graph);
  }
  void destroy(Graph* graph) override { cuda::destroy_graph(graph); }

  void mark_part(const void* memory, std::size_t bytes) override { cuda::mark_part(memory, bytes); }
  void forget_parts(const void* memory, std::size_t bytes) override {
    cuda::forget_parts(memory, bytes);
  }

 private:
  // Streams and blocks stay until the process ends: the driver then takes them back.
  DeviceState& state(Device device) {
    if (device.gpu < 0 || device.gpu >= kMostDevices)
      throw ValueError(cat("cuda: there is no device ", device.gpu));
    const std::scoped_lock locked(busy_);
    DeviceState*& one = states_[static_cast<std::size_t>(device.gpu)];
    if (one == nullptr) one = new DeviceState(device.gpu);
    return *one;
  }

  std::mutex busy_;
  std::array<DeviceState*, kMostDevices> states_{};
};

}  // namespace

Backend& cuda_backend() {
  static auto* const one = new CudaBackend;
  return *one;
}

}  // namespace densa::cuda
