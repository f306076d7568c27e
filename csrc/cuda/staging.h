// Few bytes on their way between the host and a GPU, through pinned memory: nobody waits for an
// upload, and who waits for a download holds nothing.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/launch.h"

namespace densa::cuda {

// Events are made once and used again.
class Events {
 public:
  explicit Events(int device) : device_(device) {}
  Event* take();
  void give(Event* event);

 private:
  const int device_;
  std::mutex busy_;
  std::vector<Event*> idle_;
};

// All calls while the device is held, except that finish() waits and is called without.
class Staging {
 public:
  static constexpr std::size_t kSlotBytes = std::size_t{64} << 10;
  static constexpr int kSlots = 16;
  static constexpr std::size_t kMostBytes = kSlotBytes * kSlots / 2;

  explicit Staging(int device) : device_(device) {}
  std::size_t pinned_bytes() const { return pinned_bytes_.load(std::memory_order_relaxed); }

  // Takes over at most kMostBytes and begins their copy; waits only for slots in use. False if
  // there is no pinned memory.
  bool upload(Stream stream, void* to, const void* from, std::size_t bytes);

  struct Download {
    void* memory = nullptr;
    Event* done = nullptr;
  };
  // Begins the copy of at most kSlotBytes; null memory if there is none that is pinned.
  Download begin_download(Stream stream, const void* from, std::size_t bytes);
  static void finish(const Download& download, void* to, std::size_t bytes);
  void give_back(const Download& download);

 private:
  std::byte* pinned(std::size_t bytes);

  const int device_;
  std::byte* ring_ = nullptr;
  std::array<Event*, kSlots> done_{};
  int next_ = 0;
  std::vector<Download> idle_;
  std::atomic<std::size_t> pinned_bytes_{0};
};

}  // namespace densa::cuda
