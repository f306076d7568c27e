// Streams and events as the emulation knows them, and what the host asked of them.
//
// Each stream is a queue: it does at once what it is told, or nothing before somebody waits for it.
// The order's seed says which: 0 lets all streams but a device's first one be late, 1 only the
// first, 2 all of them, and so on. So what lacks a wait comes too late or too early in one of the
// three.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace densa::cuda {

using Work = std::function<void()>;

struct StreamState {
  StreamState(int device, bool first) : device(device), first(first) {}

  const int device;
  const bool first;  // of its device: the one whose memory may be released without waiting
  bool capturing = false;
  std::vector<Work> captured;

  bool late() const;  // waits to be waited for
  void take(Work work);
  std::uint64_t told() const { return told_; }
  std::uint64_t done() const { return done_; }
  // Does what the stream was told, up to its n-th piece of work. What fails ends the rest, too.
  void run_to(std::uint64_t n);
  void run() { run_to(told_); }

 private:
  std::deque<Work> queue_;
  std::uint64_t told_ = 0, done_ = 0;
};

}  // namespace densa::cuda

namespace densa::emulation {

// Of this thread of the host, 0 at first.
int& current_device();
// What CUDA says to work for a stream of a device that is not the current one. That it does so for
// launches is documented; here it is so for whatever a stream is told.
void check_current(const cuda::StreamState& stream, const char* what);

// What the host has asked for since the program began.
struct Counts {
  std::int64_t launches = 0, captures = 0, graphs = 0, allocations = 0;
  std::int64_t to_device = 0, to_host = 0, on_device = 0;  // copies
  std::int64_t waits = 0;                                  // of the host, for a stream or an event
  std::int64_t pinned_bytes = 0, device_bytes = 0;         // held now
};
Counts counts();

// While it lives, this thread alone speaks to the emulated GPU.
class Alone {
 public:
  Alone();
  ~Alone();
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
};

Counts& counting();  // while Alone

}  // namespace densa::emulation
