// The words that code on both sides of densa._cuda uses; no CUDA header is behind them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace densa::cuda {

struct StreamState;
using Stream = StreamState*;  // a cudaStream_t and its device, or the emulation's
class Graph;                  // launches that were captured, to be launched again as one
class Event;                  // a moment in a stream's work, to be waited for

enum class Direction : std::uint8_t { kToDevice, kToHost, kOnDevice };

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  std::size_t memory_bytes = 0, shared_bytes_per_block = 0;
  int runtime_version = 0, driver_version = 0;  // 12040 is 12.4
};

}  // namespace densa::cuda
