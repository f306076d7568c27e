// Runs the threads of a launch on one thread of the operating system, as fibres.
//
// Blocks run one after another. Within a block each thread runs until it waits (at a barrier, in a
// shuffle) or ends; then the next one goes on. The order of blocks and threads follows a seed: 0
// counts up, 1 counts down, others shuffle, so a missing barrier gives wrong numbers in one of
// them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace densa::cuda {
struct Size3;
struct Grid;
struct StreamState;
}  // namespace densa::cuda

namespace densa::emulation {

struct Index3 {
  unsigned x, y, z;
};

// What the thread that runs can ask about itself. One launch runs at a time.
struct Running {
  Index3 thread, block, block_size, grid_size;
  int linear;                     // number of the thread in its block
  std::uint64_t serial;           // of the block, over all launches
  const std::uint32_t* interval;  // between which barriers of the block it runs
  std::uint32_t warp_interval;    // between which __syncwarp of its warp
};
extern Running* running;

// Ends the launch with an error that names block and thread; only from inside a kernel.
[[noreturn]] void fault(const std::string& what);

void sync_threads();
// Until another thread has changed `value`; `where` is what an error says it waits in.
void wait_for_change(const std::uint32_t& value, const char* where);
void sync_warp();
// Gives each thread of the warp the 32 values that its threads put in; all must call.
const std::uint64_t* exchange(std::uint64_t value);
std::byte* dynamic_shared(std::size_t* bytes);

// Runs or, while the stream is captured, records. Throws std::runtime_error for a fault.
void launch(cuda::StreamState* stream, const cuda::Grid& grid, std::function<void()> kernel);
void run_grid(const cuda::Grid& grid, const std::function<void()>& kernel);

void set_order(std::uint64_t seed);  // first: DENSA_EMULATION_ORDER, else 0
std::uint64_t order();

}  // namespace densa::emulation
