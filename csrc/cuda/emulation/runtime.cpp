// The services of cuda/driver.h, and the rest of cuda/launch.h, without a GPU: memory is the
// host's, streams are queues (emulation/streams.h), a captured graph is a list of what to do.
//
// Tests ask for machines and errors by the environment:
//   DENSA_EMULATION_DEVICES     how many GPUs there are
//   DENSA_EMULATION_DRIVER      the driver's version, 12040 for 12.4; 0: there is none
//   DENSA_EMULATION_CAPABILITY  of all GPUs, such as 6.1
//   DENSA_EMULATION_MEMORY      bytes of each GPU
//   DENSA_EMULATION_PINNED      bytes of pinned memory that the system gives
//   DENSA_EMULATION_BREAK       an op whose launch breaks the GPU; whoever asks it next is told
//   DENSA_EMULATION_SHARE       1: memory is shared and kept as on hardware (base/sharing.h)
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cuda/driver.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/streams.h"
#include "cuda/tensor_map.h"
#include "cuda/trouble.h"

namespace densa::cuda {
namespace {

using emulation::Alone;
using emulation::check_current;
using emulation::counting;
using emulation::current_device;

constexpr int kRuntime = 13000;

std::size_t setting(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Of every allocation that lives, by its first byte.
std::map<const std::byte*, std::size_t>& pinned() {
  static auto* const all = new std::map<const std::byte*, std::size_t>;
  return *all;
}
struct Block {
  std::size_t bytes;
  int device;
};
std::map<const void*, Block>& device_blocks() {
  static auto* const all = new std::map<const void*, Block>;
  return *all;
}
std::vector<Stream>& streams() {
  static auto* const all = new std::vector<Stream>;
  return *all;
}

bool is_pinned(const void* p) {
  const auto* const at = static_cast<const std::byte*>(p);
  auto next = pinned().upper_bound(at);
  return next != pinned().begin() && at < std::prev(next)->first + std::prev(next)->second;
}

std::atomic<bool> broken{false};

std::string late_fault;  // of work that nobody could be told about when it was done

void check_broken(const char* what) {
  if (!late_fault.empty()) throw std::runtime_error(std::exchange(late_fault, {}));
  if (broken.load())
    throw std::runtime_error(
        broken_gpu(what, "an illegal memory access was encountered (cudaErrorIllegalAddress)"));
}

}  // namespace

class Event {
 public:
  explicit Event(int device) : device(device) {}
  const int device;
  Stream stream = nullptr;
  std::uint64_t told = 0;
};

class Graph {
 public:
  std::vector<Work> work;
};

int count_devices(std::string* why_none) {
  Found found{.driver = static_cast<int>(setting("DENSA_EMULATION_DRIVER", kRuntime)),
              .runtime = kRuntime,
              .devices = static_cast<int>(setting("DENSA_EMULATION_DEVICES", 1)),
              .error = {}};
  return usable_devices(found, why_none);
}

DeviceFacts facts(int) {
  DeviceFacts out;
  out.name = "emulated GPU";
  out.major = 9;
  if (const char* text = std::getenv("DENSA_EMULATION_CAPABILITY"))
    (void)std::sscanf(text, "%d.%d", &out.major, &out.minor);
  out.multiprocessors = 4;
  out.memory_bytes = setting("DENSA_EMULATION_MEMORY", std::size_t{4} << 30);
  out.shared_bytes_per_block = 227 << 10;
  out.runtime_version = kRuntime;
  out.driver_version = static_cast<int>(setting("DENSA_EMULATION_DRIVER", kRuntime));
  return out;
}

int device_of(const void* memory) {
  const Alone alone;
  const auto* const at = static_cast<const std::byte*>(memory);
  const auto next = device_blocks().upper_bound(at);
  if (next == device_blocks().begin()) return -1;
  const auto& [start, block] = *std::prev(next);
  return at < static_cast<const std::byte*>(start) + block.bytes ? block.device : -1;
}

void release_pinned(void* memory) {
  const Alone alone;
  const auto at = pinned().find(static_cast<const std::byte*>(memory));
  if (at == pinned().end()) return;
  counting().pinned_bytes -= static_cast<std::int64_t>(at->second);
  pinned().erase(at);
  std::free(memory);
}

void destroy_stream(Stream stream) {
  const Alone alone;
  stream->run();
  std::erase(streams(), stream);
  delete stream;
}
void synchronize(Stream stream) {
  const Alone alone;
  if (stream->capturing)
    throw std::runtime_error("cuda emulation: synchronize while the stream is captured");
  ++counting().waits;
  check_broken("waiting for the GPU");
  stream->run();
}
std::uintptr_t number_of(Stream stream) { return reinterpret_cast<std::uintptr_t>(stream); }
void synchronize_number(std::uintptr_t stream) {
  const Alone alone;
  const auto at = std::find(streams().begin(), streams().end(), reinterpret_cast<Stream>(stream));
  if (at != streams().end()) synchronize(*at);
}

void destroy_graph(Graph* graph) { delete graph; }
void destroy_event(Event* event) { delete event; }
void wait(Stream stream, const Event* event) {
  const Alone alone;
  if (event->stream == nullptr) return;
  stream->take([of = event->stream, told = event->told] { of->run_to(told); });
}
void wait(const Event* event) {
  const Alone alone;
  ++counting().waits;
  check_broken("waiting for the GPU");
  if (event->stream != nullptr) event->stream->run_to(event->told);
}
bool is_over(const Event* event) {
  const Alone alone;
  return event->stream == nullptr || event->stream->done() >= event->told;
}

// ---- cuda/driver.h ------------------------------------------------------------------------------

namespace driver {

int current_device() { return emulation::current_device(); }
void set_device(int device) {
  std::string why_none;
  if (device < 0 || device >= count_devices(&why_none))
    throw std::runtime_error("cuda: cudaSetDevice: invalid device ordinal");
  emulation::current_device() = device;
}
int device_of(Stream stream) { return stream->device; }

std::size_t free_memory() {
  const Alone alone;
  const std::size_t all = facts(current_device()).memory_bytes;
  return all - std::min(all, static_cast<std::size_t>(counting().device_bytes));
}

void* allocate(std::size_t bytes) {
  const Alone alone;
  if (bytes > free_memory()) return nullptr;
  void* const memory = emulation::allocate(bytes);
  if (memory == nullptr) return nullptr;
  device_blocks()[memory] = {bytes, current_device()};
  ++counting().allocations;
  counting().device_bytes += static_cast<std::int64_t>(bytes);
  return memory;
}

// As the allocator of cuda/allocator.h is used: work of the device's first stream is done before
// the memory is given out again, what other streams still do with it is an error of their own.
void release(void* memory) {
  const Alone alone;
  const int device = current_device();
  for (Stream stream : streams()) {
    if (!stream->first || stream->device != device) continue;
    try {
      stream->run();
    } catch (const std::exception& error) {
      late_fault = error.what();
    }
  }
  if (const auto at = device_blocks().find(memory); at != device_blocks().end()) {
    counting().device_bytes -= static_cast<std::int64_t>(at->second.bytes);
    device_blocks().erase(at);
  }
  emulation::release(memory);
}

void* allocate_pinned(std::size_t bytes) {
  const Alone alone;
  const std::size_t most = setting("DENSA_EMULATION_PINNED", std::size_t{1} << 40);
  if (static_cast<std::size_t>(counting().pinned_bytes) + bytes > most) return nullptr;
  auto* const memory = static_cast<std::byte*>(std::malloc(bytes == 0 ? 1 : bytes));
  if (memory == nullptr) return nullptr;
  pinned()[memory] = bytes;
  counting().pinned_bytes += static_cast<std::int64_t>(bytes);
  return memory;
}

Stream create_stream() {
  const Alone alone;
  const int device = current_device();
  const bool first = std::none_of(streams().begin(), streams().end(),
                                  [&](Stream one) { return one->device == device; });
  streams().push_back(new StreamState(device, first));
  return streams().back();
}
Event* create_event() { return new Event(current_device()); }

// A copy between the device and pinned memory is done when its turn comes. Where everything before
// it has been done (seeds 0, 3, ... and another stream than the first), the place it goes to holds
// NaN until then. Other memory of the host is read at once, and written before this returns.
void copy(Stream stream, void* to, const void* from, std::size_t bytes, Direction direction) {
  const Alone alone;
  check_current(*stream, "a copy");
  check_broken("a copy");
  if (bytes == 0) return;
  const bool out = direction == Direction::kToHost, in = direction == Direction::kToDevice;
  ++(in ? counting().to_device : out ? counting().to_host : counting().on_device);
  if (!out) emulation::check_range(to, bytes, "a copy to the device");
  if (!in) emulation::check_range(from, bytes, "a copy from the device");
  void* const there = out ? to : emulation::on_host(to);
  const void* here = in ? from : emulation::on_host(from);
  if (in && !is_pinned(from)) {
    auto kept = std::make_shared<std::vector<std::byte>>(bytes);
    std::memcpy(kept->data(), from, bytes);
    stream->take([=] { std::memcpy(there, kept->data(), bytes); });
    return;
  }
  const bool waits = out && !is_pinned(to);
  if (!waits && !stream->first && emulation::order() % 3 == 0 && direction != Direction::kOnDevice)
    std::memset(there, 0xff, bytes);
  stream->take([=] {
    // It may have been released meanwhile.
    if (in) emulation::check_range(to, bytes, "a copy to the device");
    if (out) emulation::check_range(from, bytes, "a copy from the device");
    std::memcpy(there, here, bytes);
  });
  if (!waits) return;
  ++counting().waits;
  stream->run();
}

void fill_zero(Stream stream, void* memory, std::size_t bytes) {
  const Alone alone;
  check_current(*stream, "zeros");
  check_broken("zeros");
  emulation::check_range(memory, bytes, "zeros");
  stream->take([=] { std::memset(emulation::on_host(memory), 0, bytes); });
}

void begin_capture(Stream stream) {
  const Alone alone;
  check_current(*stream, "cudaStreamBeginCapture");
  ++counting().captures;
  stream->capturing = true;
  stream->captured.clear();
}
Graph* end_capture(Stream stream) {
  const Alone alone;
  check_current(*stream, "cudaStreamEndCapture");
  stream->capturing = false;
  auto* graph = new Graph;
  graph->work = std::exchange(stream->captured, {});
  return graph;
}
void launch_graph(Stream stream, Graph* graph) {
  const Alone alone;
  check_current(*stream, "a graph launch");
  check_broken("a graph launch");
  ++counting().graphs;
  for (const Work& work : graph->work) stream->take(work);
}

void record(Stream stream, Event* event) {
  const Alone alone;
  check_current(*stream, "cudaEventRecord");
  if (event->device != stream->device)
    throw std::runtime_error(
        cat("cuda: cudaEventRecord: invalid resource handle "
            "(cudaErrorInvalidResourceHandle): the event is of device ",
            event->device, ", the stream of ", stream->device));
  event->stream = stream;
  event->told = stream->told();
}

}  // namespace driver

void mark_part(const void* memory, std::size_t bytes) { emulation::mark_part(memory, bytes); }
void forget_parts(const void* memory, std::size_t bytes) { emulation::forget_parts(memory, bytes); }

// What a driver refuses is refused here.
TensorMap tensor_map(const MatrixStack& stack) {
  constexpr std::int64_t kMostNumbers = std::int64_t{1} << 32, kMostStep = std::int64_t{1} << 39;
  const auto counts = [](std::int64_t n) { return n >= 1 && n <= kMostNumbers; };
  const bool fine = reinterpret_cast<std::uintptr_t>(stack.data) % 16 == 0 && counts(stack.near) &&
                    counts(stack.far) && counts(stack.count) && stack.pitch >= stack.near &&
                    stack.pitch % 8 == 0 && stack.pitch < kMostStep && stack.step >= stack.pitch &&
                    stack.step % stack.pitch == 0 && stack.step < kMostStep;
  if (!fine) throw std::runtime_error("cuda: cuTensorMapEncodeTiled: invalid argument");
  return {stack};
}

}  // namespace densa::cuda

namespace densa::emulation {

void launch(cuda::Stream stream, const cuda::Grid& grid, std::function<void()> kernel) {
  const Alone alone;
  check_current(*stream, "a kernel launch");
  cuda::check_broken("a kernel launch");
  ++counting().launches;
  if (const char* op = std::getenv("DENSA_EMULATION_BREAK"))
    if (std::strcmp(op, cuda::last_noted()) == 0) cuda::broken = true;
  stream->take([grid, kernel = std::move(kernel)] { run_grid(grid, kernel); });
}

}  // namespace densa::emulation
