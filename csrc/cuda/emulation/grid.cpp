#include "cuda/emulation/grid.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "cuda/emulation/fibre.h"
#include "cuda/launch.h"

namespace densa::emulation {

Running* running = nullptr;

namespace {

constexpr std::size_t kStackBytes = std::size_t{1} << 17;
constexpr int kWarp = 32;

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::uint64_t order_seed = [] {
  const char* text = std::getenv("DENSA_EMULATION_ORDER");
  return text == nullptr ? 0ull : std::strtoull(text, nullptr, 10);
}();

class Shuffler {
 public:
  explicit Shuffler(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 1) {}
  // A new order of 0 .. n-1.
  void order(std::vector<int>& out) {
    if (order_seed == 0) return;
    if (order_seed == 1) {
      std::reverse(out.begin(), out.end());
      return;
    }
    for (std::size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[next() % i]);
  }

 private:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  std::uint64_t state_;
};

struct Warp {
  std::uint64_t slots[2][kWarp];
  std::uint32_t generation = 0;
  int arrived = 0, threads = 0;
};

struct Thread {
  Running view{};
  Fibre* fibre = nullptr;
  const std::uint32_t* watch = nullptr;  // waits until *watch is no longer `old`
  std::uint32_t old = 0;
  const char* where = "";
  bool done = false;
};

class Machine {
 public:
  void run(const cuda::Grid& grid, const std::function<void()>& kernel) {
    const std::scoped_lock locked(busy_);
    Fibre scheduler;
    scheduler_ = &scheduler;
    kernel_ = &kernel;
    failure_.clear();
    shared_.assign(grid.shared_bytes, std::byte{0xff});
    const int blocks = static_cast<int>(grid.blocks.x * grid.blocks.y * grid.blocks.z);
    Shuffler shuffler(order_seed);
    std::vector<int> order(static_cast<std::size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    shuffler.order(order);
    for (int b : order) {
      const auto u = static_cast<unsigned>(b);
      run_block(grid,
                {u % grid.blocks.x, u / grid.blocks.x % grid.blocks.y,
                 u / (grid.blocks.x * grid.blocks.y)},
                shuffler);
      if (!failure_.empty()) throw std::runtime_error(failure_);
    }
  }

  void wait(const std::uint32_t& value, const char* where) {
    Thread& thread = threads_[static_cast<std::size_t>(running->linear)];
    thread.watch = &value;
    thread.old = value;
    thread.where = where;
    Fibre::swap(*thread.fibre, *scheduler_);
  }

  void barrier() {
    if (++arrived_ == static_cast<int>(threads_.size())) {
      arrived_ = 0;
      ++interval_;
      return;
    }
    wait(interval_, "__syncthreads");
  }

  const std::uint64_t* exchange(std::uint64_t value, const char* where) {
    Warp& warp = warps_[static_cast<std::size_t>(running->linear / kWarp)];
    if (warp.threads != kWarp)
      fault(cat(where, " in a warp of ", warp.threads, " threads; all 32 must take part"));
    std::uint64_t* slots = warp.slots[warp.generation % 2];
    slots[running->linear % kWarp] = value;
    if (++warp.arrived == kWarp) {
      warp.arrived = 0;
      ++warp.generation;
    } else {
      wait(warp.generation, where);
    }
    return slots;
  }

  std::byte* shared(std::size_t* bytes) {
    *bytes = shared_.size();
    return shared_.data();
  }

 private:
  void run_block(const cuda::Grid& grid, Index3 block, Shuffler& shuffler) {
    const Index3 size{grid.threads.x, grid.threads.y, grid.threads.z};
    const std::size_t count = std::size_t{size.x} * size.y * size.z;
    threads_.assign(count, {});
    warps_.assign((count + kWarp - 1) / kWarp, {});
    arrived_ = 0;
    interval_ = 0;
    ++serial_;
    std::fill(shared_.begin(), shared_.end(), std::byte{0xff});
    for (std::size_t i = 0; i < count; ++i) {
      const auto u = static_cast<unsigned>(i);
      ++warps_[i / kWarp].threads;
      threads_[i].view = {{u % size.x, u / size.x % size.y, u / (size.x * size.y)},
                          block,
                          size,
                          {grid.blocks.x, grid.blocks.y, grid.blocks.z},
                          static_cast<int>(i),
                          serial_,
                          &interval_,
                          0};
    }
    waiting_.resize(count);
    std::iota(waiting_.begin(), waiting_.end(), 0);
    shuffler.order(waiting_);
    next_ = 0;
    while (next_ < waiting_.size() && failure_.empty()) start_one();
    while (failure_.empty() && go_on(shuffler)) {
    }
    for (Thread& thread : threads_) {  // only after a fault: their kernels never end
      if (thread.done || thread.fibre == nullptr) continue;
      thread.fibre->forget();
      idle_.push_back(thread.fibre);
    }
  }

  // Runs threads that have not begun until one of them waits, or all have begun.
  void start_one() {
    if (idle_.empty()) {
      fibres_.push_back(std::make_unique<Fibre>(kStackBytes));
      idle_.push_back(fibres_.back().get());
    }
    Fibre* fibre = idle_.back();
    idle_.pop_back();
    if (!fibre->prepared()) fibre->prepare(&Machine::entry, this);
    starting_ = fibre;
    Fibre::swap(*scheduler_, *fibre);
  }

  // Lets every thread whose wait is over go on. False when all have ended.
  bool go_on(Shuffler& shuffler) {
    std::vector<int> round;
    for (std::size_t i = 0; i < threads_.size(); ++i)
      if (!threads_[i].done) round.push_back(static_cast<int>(i));
    if (round.empty()) return false;
    shuffler.order(round);
    bool moved = false;
    for (int i : round) {
      Thread& thread = threads_[static_cast<std::size_t>(i)];
      if (*thread.watch == thread.old) continue;
      moved = true;
      running = &thread.view;
      Fibre::swap(*scheduler_, *thread.fibre);
      if (!failure_.empty()) return false;
    }
    if (!moved) {
      const Thread& stuck = threads_[static_cast<std::size_t>(round[0])];
      failure_ = cat("cuda emulation: ", round.size(), " of ", threads_.size(),
                     " threads of a block wait in ", stuck.where, ", which the others never reach");
    }
    return moved;
  }

  static void entry(void* self) {
    auto& machine = *static_cast<Machine*>(self);
    Fibre* const fibre = machine.starting_;
    Fibre::arrived();
    for (;;) {
      while (machine.failure_.empty() && machine.next_ < machine.waiting_.size()) {
        Thread& thread =
            machine.threads_[static_cast<std::size_t>(machine.waiting_[machine.next_++])];
        thread.fibre = fibre;
        running = &thread.view;
        try {
          (*machine.kernel_)();
        } catch (const Fault& error) {
          machine.failure_ = error.what();
        }
        thread.done = true;
      }
      machine.idle_.push_back(fibre);
      Fibre::swap(*fibre, *machine.scheduler_);
    }
  }

  std::mutex busy_;
  const std::function<void()>* kernel_ = nullptr;
  std::string failure_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::byte> shared_;
  std::vector<int> waiting_;  // threads in the order in which they begin
  std::size_t next_ = 0;
  int arrived_ = 0;
  std::uint32_t interval_ = 0;
  std::uint64_t serial_ = 0;
  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::vector<Fibre*> idle_;
  Fibre* starting_ = nullptr;
  Fibre* scheduler_ = nullptr;  // the thread that called run
};

Machine& machine() {
  static auto* const one = new Machine;
  return *one;
}

std::string text(Index3 i) { return cat('(', i.x, ", ", i.y, ", ", i.z, ')'); }

}  // namespace

void fault(const std::string& what) {
  throw Fault(cat("cuda emulation: block ", text(running->block), " thread ", text(running->thread),
                  ": ", what));
}

void sync_threads() { machine().barrier(); }
void wait_for_change(const std::uint32_t& value, const char* where) {
  machine().wait(value, where);
}
void sync_warp() {
  machine().exchange(0, "__syncwarp");
  ++running->warp_interval;
}
const std::uint64_t* exchange(std::uint64_t value) {
  return machine().exchange(value, "a shuffle");
}
std::byte* dynamic_shared(std::size_t* bytes) { return machine().shared(bytes); }

void run_grid(const cuda::Grid& grid, const std::function<void()>& kernel) {
  machine().run(grid, kernel);
}

void set_order(std::uint64_t seed) { order_seed = seed; }
std::uint64_t order() { return order_seed; }

}  // namespace densa::emulation
