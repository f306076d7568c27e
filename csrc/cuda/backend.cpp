// The Backend of densa._cuda, over cuda/launch.h: the same on hardware and emulated.
#include "cuda/backend.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "base/sharing.h"
#include "cuda/allocator.h"
#include "cuda/launch.h"
#include "cuda/staging.h"
#include "cuda/trouble.h"

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
DENSA_OP_FOLDER(round_all)
DENSA_OP_FOLDER(slope_sum)
#undef DENSA_OP_FOLDER

namespace densa::cuda_ops {
std::size_t update_scratch_bytes(const DeviceUpdate& update);  // ops/optimizer/optimizer.cu
void update(const DeviceUpdate& update);
}  // namespace densa::cuda_ops

namespace densa::cuda {
namespace {

constexpr int kMostDevices = 16;

#if defined(DENSA_EMULATED)
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

bool is_set(const char* variable) {
  const char* const text = std::getenv(variable);
  return text != nullptr && *text != '\0' && std::strcmp(text, "0") != 0;
}

// Whether this process is the child of one that had asked the driver for something.
std::atomic<bool> asked_driver{false}, forked{false};

void look_for_forks() {
  if (asked_driver.exchange(true)) return;
#if !defined(_WIN32)
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif
}

void refuse_forked() {
  if (forked)
    throw std::runtime_error(
        "this process was forked from one that had used a GPU, and CUDA does not work in such a "
        "process. Start it afresh, as by multiprocessing.get_context(\"spawn\"); or keep to the "
        "CPU in it, by densa.set_device(\"cpu\"); or first use the GPU when it has been forked");
}

struct DeviceState {
  explicit DeviceState(int device)
      : allocator(device, shares_memory(kEmulated) && !is_set("DENSA_CUDA_NO_CACHE")),
        stream(create_stream(device)),
        staging(device),
        events(device) {}
  Allocator allocator;
  Stream stream, copy_stream = nullptr;
  Staging staging;
  Events events;
  std::recursive_mutex busy;
};

class CudaBackend final : public Backend {
 public:
  int device_count(std::string* why_none) override {
    refuse_forked();
    look_for_forks();
    return std::min(count_devices(why_none), kMostDevices);
  }
  DeviceFacts facts(Device device) override { return cuda::facts(device.gpu); }
  bool emulated() const override { return kEmulated; }
  bool separate_buffers() const override { return is_set("DENSA_CUDA_NO_CACHE"); }
  void check(Device device) override {
    refuse_forked();
    const std::scoped_lock locked(busy_);
    check_once(device.gpu);
  }

  void* allocate(Device device, std::size_t bytes) override {
    return state(device).allocator.take(bytes);
  }
  void release(Device device, void* memory, std::size_t bytes) override {
    if (forked) return;  // it is the parent's
    state(device).allocator.give(memory, bytes);
  }
  std::size_t free_memory(Device device) override {
    return cuda::free_memory(device.gpu) + state(device).allocator.kept_bytes();
  }
  std::size_t kept_bytes(Device device) override { return state(device).allocator.kept_bytes(); }
  void give_back(Device device) override { state(device).allocator.give_back(); }

  Stream stream(Device device) override { return state(device).stream; }
  std::uintptr_t stream_number(Device device) override { return number_of(stream(device)); }
  void synchronize_number(std::uintptr_t stream) override { cuda::synchronize_number(stream); }
  int device_of(const void* memory) override { return cuda::device_of(memory); }
  std::unique_lock<std::recursive_mutex> hold(Device device) override {
    return std::unique_lock(state(device).busy);
  }
  void synchronize(Device device) override {
    DeviceState& one = state(device);
    const unsigned told = notes_so_far();
    wait_for(one, record_now(one));
    forget_notes(told);
  }
  void copy(Device device, void* to, const void* from, std::size_t bytes,
            Direction direction) override {
    DeviceState& one = state(device);
    if (bytes == 0) return;
    if (direction == Direction::kToHost) return copy_to_host(one, to, from, bytes);
    auto held = std::unique_lock(one.busy);
    if (direction == Direction::kToDevice && bytes <= Staging::kMostBytes &&
        one.staging.upload(one.stream, to, from, bytes))
      return;
    cuda::copy(one.stream, to, from, bytes, direction);
    if (direction == Direction::kOnDevice) return;
    Event* const done = record_now(one);
    held.unlock();
    wait_for(one, done);
  }
  void fill_zero(Device device, void* memory, std::size_t bytes) override {
    const auto held = hold(device);
    cuda::fill_zero(state(device).stream, memory, bytes);
  }

  Stream copy_stream(Device device) override {
    DeviceState& one = state(device);
    const std::scoped_lock held(one.busy);
    if (one.copy_stream == nullptr) one.copy_stream = create_stream(device.gpu);
    return one.copy_stream;
  }
  Event* create_event(Device device) override { return cuda::create_event(device.gpu); }
  void destroy_event(Event* event) override { cuda::destroy_event(event); }
  void record(Stream stream, Event* event) override { cuda::record(stream, event); }
  void wait(Stream stream, const Event* event) override { cuda::wait(stream, event); }
  void wait(const Event* event) override { cuda::wait(event); }
  void begin_copy(Stream stream, void* to, const void* from, std::size_t bytes,
                  Direction direction) override {
    cuda::copy(stream, to, from, bytes, direction);
  }
  void* allocate_pinned(Device device, std::size_t bytes) override {
    void* const memory = cuda::allocate_pinned(device.gpu, bytes);
    if (memory == nullptr)
      throw MemoryError(cat("out of pinned memory of the host for cuda:", device.gpu, ": ", bytes,
                            " bytes were asked for, densa holds ",
                            pinned_.load() + state(device).staging.pinned_bytes(),
                            " bytes. Raise the system's limit of locked memory (ulimit -l), or "
                            "use data or batches that are smaller"));
    pinned_ += bytes;
    return memory;
  }
  void release_pinned(void* memory, std::size_t bytes) override {
    if (forked) return;
    cuda::release_pinned(memory);
    pinned_ -= bytes;
  }

  void note(const char* op) override { cuda::note(op); }
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
      DENSA_OP_FOLDER(round_all)
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
  void update(const DeviceUpdate& update) override {
    cuda::note("an optimizer's step");
    cuda_ops::update(update);
  }

  void begin_capture(Device device) override { cuda::begin_capture(state(device).stream); }
  Graph* end_capture(Device device) override { return cuda::end_capture(state(device).stream); }
  void launch(Device device, Graph* graph) override {
    const auto held = hold(device);
    cuda::note("a step of a plan");
    cuda::launch_graph(state(device).stream, graph);
  }
  void destroy(Graph* graph) override { cuda::destroy_graph(graph); }

  void mark_part(const void* memory, std::size_t bytes) override { cuda::mark_part(memory, bytes); }
  void forget_parts(const void* memory, std::size_t bytes) override {
    cuda::forget_parts(memory, bytes);
  }

 private:
  // What all of the device's work so far is; whoever takes it waits for it.
  static Event* record_now(DeviceState& one) {
    Event* const now = one.events.take();
    const std::scoped_lock held(one.busy);
    cuda::record(one.stream, now);
    return now;
  }
  static void wait_for(DeviceState& one, Event* event) {
    cuda::wait(event);
    one.events.give(event);
  }

  static void copy_to_host(DeviceState& one, void* to, const void* from, std::size_t bytes) {
    auto held = std::unique_lock(one.busy);
    const unsigned told = notes_so_far();
    if (bytes <= Staging::kSlotBytes) {
      const Staging::Download download = one.staging.begin_download(one.stream, from, bytes);
      if (download.memory != nullptr) {
        held.unlock();
        Staging::finish(download, to, bytes);
        forget_notes(told);
        held.lock();
        one.staging.give_back(download);
        return;
      }
    }
    // The copy itself keeps the host, and the device held: so only when its turn has come.
    Event* const before = record_now(one);
    held.unlock();
    wait_for(one, before);
    held.lock();
    cuda::copy(one.stream, to, from, bytes, Direction::kToHost);
    cuda::synchronize(one.stream);
    forget_notes(told);
  }

  void check_once(int gpu) {
    std::string why;
    if (checked_ < 0) checked_ = device_count(&why);
    if (gpu < 0 || gpu >= checked_)
      throw ValueError(cat("device 'cuda:", gpu, "': there ", checked_ == 1 ? "is " : "are ",
                           checked_, checked_ == 1 ? " GPU" : " GPUs", ", numbered from 0"));
    const auto at = static_cast<std::size_t>(gpu);
    if (has_code_[at]) return;
    const DeviceFacts known = cuda::facts(gpu);
    if (!has_code(DENSA_CUDA_CODE, known.major, known.minor))
      throw std::runtime_error(no_code(DENSA_CUDA_CODE, known.name, known.major, known.minor));
    has_code_[at] = true;
  }

  // Streams and blocks stay until the process ends: the driver then takes them back.
  DeviceState& state(Device device) {
    refuse_forked();
    const std::scoped_lock locked(busy_);
    if (device.gpu < 0 || device.gpu >= kMostDevices || states_[at(device)] == nullptr) {
      check_once(device.gpu);
      states_[at(device)] = new DeviceState(device.gpu);
    }
    return *states_[at(device)];
  }
  static std::size_t at(Device device) { return static_cast<std::size_t>(device.gpu); }

  std::mutex busy_;
  std::array<DeviceState*, kMostDevices> states_{};
  std::array<bool, kMostDevices> has_code_{};
  int checked_ = -1;  // devices; -1: not asked yet
  std::atomic<std::size_t> pinned_{0};
};

}  // namespace

Backend& cuda_backend() {
  static auto* const one = new CudaBackend;
  return *one;
}

}  // namespace densa::cuda
