#include "cuda/emulation/streams.h"

#include <mutex>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "cuda/emulation/grid.h"
#include "cuda/launch.h"

namespace densa::emulation {
namespace {

std::recursive_mutex& busy() {
  static auto* const one = new std::recursive_mutex;
  return *one;
}
Counts all;

}  // namespace

Alone::Alone() { busy().lock(); }
Alone::~Alone() { busy().unlock(); }

Counts& counting() { return all; }
Counts counts() {
  const Alone alone;
  return all;
}

int& current_device() {
  thread_local int device = 0;
  return device;
}

void check_current(const cuda::StreamState& stream, const char* what) {
  if (stream.device != current_device())
    throw std::runtime_error(cat("cuda: ", what,
                                 ": invalid resource handle "
                                 "(cudaErrorInvalidResourceHandle): the stream is of device ",
                                 stream.device, ", the current device of this thread is ",
                                 current_device()));
}

}  // namespace densa::emulation

namespace densa::cuda {

bool StreamState::late() const { return emulation::order() % 3 != (first ? 0 : 1); }

void StreamState::take(Work work) {
  if (capturing) {
    captured.push_back(std::move(work));
    return;
  }
  queue_.push_back(std::move(work));
  ++told_;
  if (!late()) run();
}

void StreamState::run_to(std::uint64_t n) {
  while (done_ < n) {
    const Work work = std::move(queue_.front());
    queue_.pop_front();
    ++done_;
    try {
      work();
    } catch (...) {
      queue_.clear();
      done_ = told_;
      throw;
    }
  }
}

}  // namespace densa::cuda
