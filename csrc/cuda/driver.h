// What a runtime does for cuda/launch.cpp, which alone calls it: cuda/runtime.cpp on hardware,
// emulation/runtime.cpp without.
//
// CUDA keeps a current device for each thread of the host. Memory, streams and events are made on
// it, and work for a stream of another device is refused; so is it in the emulation.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/launch.h"

namespace densa::cuda::driver {

int current_device();  // -1 where the driver cannot say
void set_device(int device);
int device_of(Stream stream);

// ---- on the current device ----------------------------------------------------------------------

std::size_t free_memory();
void* allocate(std::size_t bytes);  // null if there is not enough
void release(void* memory);
void* allocate_pinned(std::size_t bytes);  // null if there is none
Stream create_stream();
Event* create_event();

// ---- work for a stream of the current device ----------------------------------------------------

#if !defined(DENSA_EMULATED)
void launch(Stream stream, const Grid& grid, const void* kernel, void** arguments);
#endif
void copy(Stream stream, void* to, const void* from, std::size_t bytes, Direction direction);
void fill_zero(Stream stream, void* memory, std::size_t bytes);
void record(Stream stream, Event* event);
void begin_capture(Stream stream);
Graph* end_capture(Stream stream);
void launch_graph(Stream stream, Graph* graph);

}  // namespace densa::cuda::driver
