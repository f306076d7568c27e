// The services of cuda/launch.h without a GPU: memory is the host's, a stream does at once what it
// is told, a captured graph is a list of what to do.
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cuda/emulation/memory.h"
#include "cuda/launch.h"

namespace densa::cuda {

using Work = std::function<void()>;

struct StreamState {
  bool capturing = false;
  std::vector<Work> captured;

  void take(Work work) {
    if (capturing) {
      captured.push_back(std::move(work));
    } else {
      work();
    }
  }
};

class Graph {
 public:
  std::vector<Work> work;
};

int count_devices(std::string*) {
  const char* text = std::getenv("DENSA_EMULATION_DEVICES");
  return text == nullptr ? 1 : std::atoi(text);
}

DeviceFacts facts(int) {
  DeviceFacts out;
  out.name = "emulated GPU";
  out.major = 9;
  out.multiprocessors = 4;
  out.memory_bytes = std::size_t{4} << 30;
  out.shared_bytes_per_block = 227 << 10;
  out.runtime_version = out.driver_version = 13000;
  return out;
}

std::size_t free_memory(int device) { return facts(device).memory_bytes; }

void* allocate(int device, std::size_t bytes) {
  ++emulation::counts.allocations;
  return bytes > facts(device).memory_bytes ? nullptr : emulation::allocate(bytes);
}
void release(int, void* memory) { emulation::release(memory); }
void* allocate_pinned(std::size_t bytes) { return std::malloc(bytes); }
void release_pinned(void* memory) { std::free(memory); }

Stream create_stream(int) { return new StreamState; }
void destroy_stream(Stream stream) { delete stream; }
void synchronize(Stream stream) {
  ++emulation::counts.waits;
  if (stream->capturing)
    throw std::runtime_error("cuda emulation: synchronize while the stream is captured");
}

void copy(Stream stream, void* to, const void* from, std::size_t bytes, Direction direction) {
  if (bytes == 0) return;
  if (direction != Direction::kOnDevice) ++emulation::counts.copies;
  if (direction != Direction::kToHost) emulation::check_range(to, bytes, "a copy to the device");
  if (direction != Direction::kToDevice)
    emulation::check_range(from, bytes, "a copy from the device");
  stream->take([=] {
    std::memcpy(direction == Direction::kToHost ? to : emulation::on_host(to),
                direction == Direction::kToDevice ? from : emulation::on_host(from), bytes);
  });
}

void fill_zero(Stream stream, void* memory, std::size_t bytes) {
  emulation::check_range(memory, bytes, "zeros");
  stream->take([=] { std::memset(emulation::on_host(memory), 0, bytes); });
}

void begin_capture(Stream stream) {
  ++emulation::counts.captures;
  stream->capturing = true;
  stream->captured.clear();
}
Graph* end_capture(Stream stream) {
  stream->capturing = false;
  auto* graph = new Graph;
  graph->work = std::exchange(stream->captured, {});
  return graph;
}
void launch_graph(Stream stream, Graph* graph) {
  ++emulation::counts.replays;
  for (const Work& work : graph->work) stream->take(work);
}
void destroy_graph(Graph* graph) { delete graph; }

void mark_part(const void* memory, std::size_t bytes) { emulation::mark_part(memory, bytes); }
void forget_parts(const void* memory, std::size_t bytes) { emulation::forget_parts(memory, bytes); }

}  // namespace densa::cuda

namespace densa::emulation {

Counts counts;

void launch(cuda::Stream stream, const cuda::Grid& grid, std::function<void()> kernel) {
  stream->take([grid, kernel = std::move(kernel)] {
    ++counts.launches;
    run_grid(grid, kernel);
  });
}

}  // namespace densa::emulation
