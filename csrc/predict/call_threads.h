// How many threads a call takes: one where there is little to do, else what was faster when calls
// of about as many rows were timed. Results do not depend on it.
#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace densa {

class CallThreads {
 public:
  // A call whose work does not pay for a second thread, by flops: about 5 us on one core.
  static constexpr double kLittle = 3e5;

  // One thread or `most`, for a call of so many rows.
  int pick(std::int64_t rows, int most) {
    if (most <= 1) return 1;
    Size& size = sizes_[bucket(rows)];
    const std::uint32_t call = size.calls.fetch_add(1, std::memory_order_relaxed);
    if (call < kFirst) return call < kBurst ? 1 : most;
    const bool one =
        size.one.load(std::memory_order_relaxed) <= size.many.load(std::memory_order_relaxed);
    return one != looks_again(call) ? 1 : most;
  }
  void record(std::int64_t rows, int threads, double seconds) {
    Size& size = sizes_[bucket(rows)];
    std::atomic<float>& kept = threads == 1 ? size.one : size.many;
    const float old = kept.load(std::memory_order_relaxed), now = static_cast<float>(seconds);
    kept.store(old == 0 || now < old ? now : old + (now - old) / 16, std::memory_order_relaxed);
  }

 private:
  // Threads that nobody used for a while sleep, and waking them takes longer than many a call: so
  // both numbers are timed in calls one behind the other.
  static constexpr std::uint32_t kBurst = 4;
  static constexpr std::uint32_t kFirst = 12;  // calls: a burst on one thread, two on many
  // A burst of the other one at calls 16, 32, 64, ... and every 1024: the machine may have been
  // busy before.
  static bool looks_again(std::uint32_t call) {
    const std::uint32_t burst = call / kBurst;
    return burst % (1024 / kBurst) == 0 || std::has_single_bit(burst);
  }
  struct Size {
    std::atomic<std::uint32_t> calls{0};
    std::atomic<float> one{0}, many{0};  // seconds of a call; 0: not yet known
  };
  static std::size_t bucket(std::int64_t rows) {
    return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(rows)));
  }
  std::array<Size, 65> sizes_;
};

}  // namespace densa
