#include "cuda/emulation/streams.h"

#include <mutex>
#include <utility>

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
