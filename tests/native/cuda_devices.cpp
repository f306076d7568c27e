// Two emulated GPUs and the current device of each thread of the host: what CUDA refuses is
// refused, and cuda/launch.h makes the right device current from any thread.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "check.h"
#include "cuda/driver.h"
#include "cuda/kernel.h"
#include "cuda_device.h"

namespace densa::inline DENSA_ISA {
namespace {

__global__ void count_up(Global<int> counter) { atomic_add(counter, 1); }

constexpr const char* kRefused = "cudaErrorInvalidResourceHandle";

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

// Of one GPU: its stream, and a number in its memory.
class Gpu {
 public:
  explicit Gpu(int device)
      : stream(cuda::create_stream(device)),
        memory_(static_cast<int*>(cuda::allocate(device, sizeof(int)))),
        device_(device) {
    cuda::fill_zero(stream, memory_, sizeof(int));
  }
  ~Gpu() {
    cuda::release(device_, memory_);
    cuda::destroy_stream(stream);
  }
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  void count() const { cuda::launch(stream, {{1}, {32}}, count_up, Global<int>(memory_)); }
  int counted() const {
    int out = 0;
    cuda::copy(stream, &out, memory_, sizeof out, cuda::Direction::kToHost);
    return out;
  }
  int* memory() const { return memory_; }

  const cuda::Stream stream;

 private:
  int* const memory_;
  const int device_;
};

// All that a stream may be told, each with the other device current.
void tell_everything(const Gpu& gpu, int device) {
  const auto away = [device] { cuda::driver::set_device(1 - device); };
  away();
  gpu.count();
  away();
  cuda::Event* const event = cuda::create_event(device);
  away();
  cuda::record(gpu.stream, event);
  away();
  cuda::wait(event);
  cuda::wait(gpu.stream, event);
  cuda::destroy_event(event);
  cuda::begin_capture(gpu.stream);
  gpu.count();
  away();
  cuda::Graph* const graph = cuda::end_capture(gpu.stream);
  away();
  cuda::launch_graph(gpu.stream, graph);
  cuda::destroy_graph(graph);
  away();
  void* const memory = cuda::allocate(device, sizeof(int));
  CHECK(cuda::device_of(memory) == device, "memory of %d", device);
  away();
  cuda::fill_zero(gpu.stream, memory, sizeof(int));
  away();
  int number = 1;
  cuda::copy(gpu.stream, &number, memory, sizeof number, cuda::Direction::kToHost);
  CHECK(number == 0, "%d", number);
  away();
  cuda::release(device, memory);
  CHECK(cuda::driver::current_device() == device, "the last call's device is current");
}

void test_any_thread_any_device(const Gpu& first, const Gpu& second) {
  const auto both = [&] {
    for (int i = 0; i < 3; ++i) {
      tell_everything(second, 1);
      tell_everything(first, 0);
    }
  };
  both();
  std::thread(both).join();
  // Another library sets the device between two calls for the same stream.
  second.count();
  cuda::driver::set_device(0);
  second.count();
  CHECK(cuda::driver::current_device() == 1, "the stream's device is current");
  CHECK(first.counted() == 32 * 12 && second.counted() == 32 * 14, "%d, %d", first.counted(),
        second.counted());
  CHECK(cuda::device_of(first.memory()) == 0 && cuda::device_of(second.memory()) == 1, "memory");
  int here = 0;
  CHECK(cuda::device_of(&here) == -1, "the host's memory");
  int other = -1;
  std::thread([&] { other = cuda::driver::current_device(); }).join();
  CHECK(other == 0, "a thread begins with device %d", other);
}

// Each service as the driver has it, with the device of the other stream current.
void test_refused(const Gpu& first, const Gpu& second) {
  cuda::Event* const event = cuda::create_event(1);
  cuda::begin_capture(second.stream);
  second.count();
  cuda::Graph* const graph = cuda::end_capture(second.stream);
  const int before = second.counted();
  cuda::driver::set_device(0);
  const auto refused = [](const char* what, auto&& f) {
    const std::string error = error_of(f);
    CHECK(error.find(kRefused) != std::string::npos, "%s: '%s'", what, error.c_str());
    CHECK(cuda::driver::current_device() == 0, "%s", what);
  };
  refused("launch", [&] {
    emulation::launch(second.stream, {{1}, {32}},
                      [p = Global<int>(second.memory())] { count_up(p); });
  });
  refused("record", [&] { cuda::driver::record(second.stream, event); });
  refused("capture", [&] { cuda::driver::begin_capture(second.stream); });
  refused("graph", [&] { cuda::driver::launch_graph(second.stream, graph); });
  refused("zeros", [&] { cuda::driver::fill_zero(second.stream, second.memory(), 4); });
  int number = 7;
  refused("copy", [&] {
    cuda::driver::copy(second.stream, second.memory(), &number, 4, cuda::Direction::kToDevice);
  });
  // By the stream's device, but not the event's: that no setting mends.
  const std::string error = error_of([&] { cuda::record(first.stream, event); });
  CHECK(error.find("the event is of device 1, the stream of 0") != std::string::npos, "'%s'",
        error.c_str());
  CHECK(second.counted() == before, "something ran");
  cuda::driver::set_device(0);
  CHECK(!error_of([] { cuda::driver::set_device(2); }).empty(), "there are two");
  cuda::destroy_graph(graph);
  cuda::destroy_event(event);
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  setenv("DENSA_EMULATION_DEVICES", "2", 1);
  {
    const Gpu first(0), second(1);
    test_any_thread_any_device(first, second);
    test_refused(first, second);
  }
  if (failures == 0) std::printf("cuda_devices: passed\n");
  return failures == 0 ? 0 : 1;
}
