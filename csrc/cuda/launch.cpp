// cuda/launch.h over cuda/driver.h: each call makes its device the current one of this thread of
// the host, and leaves it so.
#include "cuda/launch.h"

#include <exception>

#include "cuda/driver.h"

namespace densa::cuda {

namespace {

// The driver is asked, since other libraries set the device of a thread, too; it reads a number of
// the thread.
void use(int device) {
  if (driver::current_device() != device) driver::set_device(device);
}

}  // namespace

void use(Stream stream) { use(driver::device_of(stream)); }

std::size_t free_memory(int device) {
  use(device);
  return driver::free_memory();
}
void* allocate(int device, std::size_t bytes) {
  use(device);
  return driver::allocate(bytes);
}
void release(int device, void* memory) {
  try {
    use(device);
  } catch (const std::exception&) {
    return;  // at exit the driver may be gone before the last tensor is
  }
  driver::release(memory);
}
void* allocate_pinned(int device, std::size_t bytes) {
  use(device);
  return driver::allocate_pinned(bytes);
}
Stream create_stream(int device) {
  use(device);
  return driver::create_stream();
}
Event* create_event(int device) {
  use(device);
  return driver::create_event();
}

#if !defined(DENSA_EMULATED)
void launch_raw(Stream stream, const Grid& grid, const void* kernel, void** arguments) {
  use(stream);
  driver::launch(stream, grid, kernel, arguments);
}
#endif
void copy(Stream stream, void* to, const void* from, std::size_t bytes, Direction direction) {
  use(stream);
  driver::copy(stream, to, from, bytes, direction);
}
void fill_zero(Stream stream, void* memory, std::size_t bytes) {
  use(stream);
  driver::fill_zero(stream, memory, bytes);
}
void record(Stream stream, Event* event) {
  use(stream);
  driver::record(stream, event);
}
void begin_capture(Stream stream) {
  use(stream);
  driver::begin_capture(stream);
}
Graph* end_capture(Stream stream) {
  use(stream);
  return driver::end_capture(stream);
}
void launch_graph(Stream stream, Graph* graph) {
  use(stream);
  driver::launch_graph(stream, graph);
}

}  // namespace densa::cuda
