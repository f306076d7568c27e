// Kernel launches and the few driver services behind them, for code that includes no CUDA header.
//
// launch(stream, grid, kernel, arguments...) replaces kernel<<<...>>>(arguments...), which a host
// compiler cannot read. cuda/launch.cpp implements this over cuda/driver.h: any
// thread may call for any device, which a call makes the current one of its thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/gpu.h"
#if defined(DENSA_EMULATED)
#include "cuda/emulation/grid.h"
#endif

namespace densa::cuda {

struct Size3 {
  unsigned x = 1, y = 1, z = 1;
};

struct Grid {
  Size3 blocks, threads;
  std::size_t shared_bytes = 0;  // beyond the kernel's own Shared<> arrays
};

inline constexpr unsigned kThreads = 256;  // of a block, where nothing asks for another number

// Enough blocks of kThreads for n elements, but no more than a GPU is kept busy by.
inline Grid grid_for(std::int64_t n, std::int64_t most_blocks = 1 << 14) {
  const std::int64_t blocks = (n + kThreads - 1) / kThreads;
  return {{static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks)}, {kThreads}};
}

void use(Stream stream);  // makes its device the current one of this thread of the host

// Throws std::runtime_error with CUDA's words; MemoryError where memory is short.
void launch_raw(Stream stream, const Grid& grid, const void* kernel, void** arguments);

// A grid without threads does nothing.
template <class... P, class... A>
void launch(Stream stream, const Grid& grid, void (*kernel)(P...), A&&... arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "launch: number of arguments");
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
#if defined(DENSA_EMULATED)
  use(stream);
  emulation::launch(stream, grid,
                    [kernel, ... values = P(std::forward<A>(arguments))] { kernel(values...); });
#else
  [&](P... values) {
    void* list[] = {static_cast<void*>(&values)..., nullptr};
    launch_raw(stream, grid, reinterpret_cast<const void*>(kernel), list);
  }(P(std::forward<A>(arguments))...);
#endif
}

// ---- devices, memory, streams -------------------------------------------------------------------

int count_devices(std::string* why_none);
DeviceFacts facts(int device);
std::size_t free_memory(int device);
int device_of(const void* memory);  // -1: it is no GPU's

void* allocate(int device, std::size_t bytes);  // null if there is not enough
void release(int device, void* memory);
// Memory of the host that a GPU copies from and to while the host goes on; null if there is none.
void* allocate_pinned(int device, std::size_t bytes);
void release_pinned(void* memory);

Stream create_stream(int device);  // beside the device's other streams, without an order
void destroy_stream(Stream stream);
void synchronize(Stream stream);
// Streams as other libraries know them.
std::uintptr_t number_of(Stream stream);
void synchronize_number(std::uintptr_t stream);

// Begins a copy. With pinned memory it goes on while the host does; with other memory of the host
// `from` has been read, or `to` written, when this returns.
void copy(Stream stream, void* to, const void* from, std::size_t bytes, Direction direction);
void fill_zero(Stream stream, void* memory, std::size_t bytes);

Event* create_event(int device);
void destroy_event(Event* event);
void record(Stream stream, Event* event);      // the moment when all the stream was told is done
void wait(Stream stream, const Event* event);  // the stream waits, the host does not
void wait(const Event* event);                 // the host waits; at once if nothing was recorded
bool is_over(const Event* event);

// What was launched between begin_capture and end_capture, to be launched again as one.
void begin_capture(Stream stream);
Graph* end_capture(Stream stream);
void launch_graph(Stream stream, Graph* graph);
void destroy_graph(Graph* graph);

// Tells the emulation that `memory` is a part of its own of a larger allocation, so that an access
// past its end is an error; does nothing on hardware. forget_part undoes it.
void mark_part(const void* memory, std::size_t bytes);
void forget_parts(const void* memory, std::size_t bytes);

}  // namespace densa::cuda
