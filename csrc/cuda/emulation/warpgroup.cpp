#include "cuda/warpgroup.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/mma.h"

// Who may touch a place of tile memory follows from what each warp has been told: a barrier passes
// on, from those who arrive to those who wait, how many products of each warp are over; so does
// __syncthreads. A copy may overwrite what no product reads that its warp does not know to be over;
// a product may read what came by a phase that its thread has waited for.

namespace densa::emulation {

constexpr int kWarps = 32;                        // of a block, at most
using Known = std::array<std::uint32_t, kWarps>;  // products of each warp that are over

struct AsyncBarrier {
  int expected = 0, missing = 0, maker = 0;
  std::uint32_t made = 0;  // the interval between two __syncthreads
  bool published = false;
  std::uint32_t phase = 0, changes = 0;
  std::int64_t bytes = 0;  // that the phase still waits for
  std::vector<std::function<void()>> copies;
  Known coming{}, passed{};
};

namespace {

constexpr std::uint32_t kFirstAddress = 1024, kAtomBytes = 1024;

struct Atom {
  bool written = false, under_way = false;
  const AsyncBarrier* by = nullptr;  // what counted its bytes, in which phase
  std::uint32_t phase = 0;
  std::uint32_t arrived = 0;  // the interval in which it came
  Known readers{};            // the last product of each warp that reads it
};

struct Warp {
  std::uint32_t over = 0;
  Known known{};
};

// Numbers that registers will hold when the products that are under way are over.
struct Sum {
  float* registers;
  std::vector<float> values;
  std::uint32_t last = 0;  // product
};

struct Thread {
  bool begun = false;
  std::uint32_t products = 0;
  std::deque<std::uint32_t> groups;  // the last product of each
  std::vector<Sum> sums;
  std::map<const AsyncBarrier*, std::uint32_t> waited;  // phases that it knows to be over
};

struct Block {
  std::uint64_t serial = 0;
  std::uint32_t interval = 0, deliveries = 0;
  std::vector<std::unique_ptr<AsyncBarrier>> barriers;
  std::vector<Atom> atoms;
  std::byte* memory = nullptr;
  std::array<Warp, kWarps> warps;
  std::vector<Thread> threads;
  std::vector<std::vector<std::uint64_t>> told;  // what the products of each warpgroup were
  struct Decoded {
    std::uint64_t at;
    std::uint32_t deliveries;
    bool transposed, bfloat16;
    int outer;
    std::vector<float> numbers;  // [k][outer]
  };
  std::deque<Decoded> decoded;
};

int warp_of(int thread) { return thread / 32; }

// One launch runs at a time, and one block of it.
Block& block() {
  static auto* const one = new Block;
  Block& b = *one;
  const Running& me = *running;
  if (b.serial != me.serial) {
    b = {};
    b.serial = me.serial;
    std::size_t bytes = 0;
    b.memory = dynamic_shared(&bytes);
    b.atoms.resize(bytes < kTileSlack ? 0 : (bytes - kTileSlack) / kAtomBytes);
    const std::size_t threads = std::size_t{me.block_size.x} * me.block_size.y * me.block_size.z;
    b.threads.resize(threads);
    b.told.resize(threads / kWarpgroup + 1);
  }
  // What was over before a __syncthreads is known to all behind it: nothing is over in the new
  // interval before somebody comes by here.
  if (b.interval != *me.interval) {
    b.interval = *me.interval;
    Known over{};
    for (std::size_t w = 0; w < kWarps; ++w) over[w] = b.warps[w].over;
    for (Warp& warp : b.warps) warp.known = over;
  }
  return b;
}
Thread& thread() { return block().threads[static_cast<std::size_t>(running->linear)]; }
Warp& warp() { return block().warps[static_cast<std::size_t>(warp_of(running->linear))]; }

void learn(Known& known, const Known& more) {
  for (std::size_t w = 0; w < kWarps; ++w) known[w] = std::max(known[w], more[w]);
}

AsyncBarrier& checked(AsyncBarrier* barrier) {
  const Block& b = block();
  const bool mine = std::any_of(b.barriers.begin(), b.barriers.end(),
                                [&](const auto& one) { return one.get() == barrier; });
  if (!mine) fault("a barrier is used that no thread of the block has made");
  if (barrier->maker != running->linear && barrier->made == b.interval)
    fault("a barrier is used with no __syncthreads behind its init");
  return *barrier;
}

void end_phase_if_over(AsyncBarrier& barrier) {
  if (barrier.missing != 0 || barrier.bytes != 0) return;
  ++barrier.phase;
  barrier.missing = barrier.expected;
  learn(barrier.passed, barrier.coming);
}

Atom& atom_at(std::uint32_t address) {
  Block& b = block();
  const std::uint32_t i = (address - kFirstAddress) / kAtomBytes;
  if (address < kFirstAddress || i >= b.atoms.size())
    fault(cat("tile memory: address ", address, " lies outside of its ", b.atoms.size(), " KB"));
  return b.atoms[i];
}
std::byte* memory_at(std::uint32_t address) { return block().memory + (address - kFirstAddress); }

// The 128-byte swizzle: a function of the address.
std::uint32_t swizzled(std::uint32_t address) { return address ^ (address >> 7 & 7) << 4; }

void check_readable(std::uint32_t address) {
  const Block& b = block();
  const Atom& atom = atom_at(address);
  if (!atom.written && !atom.under_way)
    fault(cat("tile memory: a product reads address ", address, ", where nothing was written"));
  const auto& waited = thread().waited;
  const auto at = waited.find(atom.by);
  const bool knows = (at != waited.end() && at->second > atom.phase) ||
                     (atom.written && atom.arrived != b.interval);
  if (atom.under_way || !knows)
    fault(cat("tile memory: a product reads address ", address,
              " before its thread has waited for the copy to it"));
}

// Where element (outer, k) of an operand lies, by its descriptor.
class Place {
 public:
  Place(std::uint64_t at, bool transposed)
      : first_(static_cast<std::uint32_t>(at & 0x3fff) * 16),
        next_box_(static_cast<std::uint32_t>(at >> 16 & 0x3fff) * 16),
        next_atom_(static_cast<std::uint32_t>(at >> 32 & 0x3fff) * 16),
        transposed_(transposed) {
    if (at >> 62 != 1) fault("a product's operand lacks the 128-byte swizzle");
    if ((at >> 49 & 7) != 0) fault("a product's operand begins at an odd row of an atom");
  }
  std::uint32_t operator()(std::uint32_t outer, std::uint32_t k) const {
    if (transposed_)
      return swizzled(first_ + outer / 64 * next_box_ + outer % 64 * 2 + k / 8 * next_atom_ +
                      k % 8 * 128);
    return swizzled(first_ + outer / 8 * next_atom_ + outer % 8 * 128 + k * 2);
  }
  // Calls f with an address in each atom of 16 k and so many outer.
  template <class F>
  void each_atom(std::uint32_t outers, const F& f) const {
    for (std::uint32_t outer = 0; outer < outers; outer += transposed_ ? 64 : 8)
      for (std::uint32_t k = 0; k < 16; k += 8)
        if (transposed_ || k == 0) f((*this)(outer, k));
  }

 private:
  std::uint32_t first_, next_box_, next_atom_;
  bool transposed_;
};

const float* decoded(std::uint64_t at, bool transposed, bool bfloat16, int outer) {
  Block& b = block();
  for (const Block::Decoded& one : b.decoded)
    if (one.at == at && one.deliveries == b.deliveries && one.transposed == transposed &&
        one.bfloat16 == bfloat16 && one.outer == outer)
      return one.numbers.data();
  constexpr std::size_t kKept = 32;
  if (b.decoded.size() == kKept) b.decoded.pop_front();
  b.decoded.push_back({at, b.deliveries, transposed, bfloat16, outer,
                       std::vector<float>(static_cast<std::size_t>(16 * outer))});
  const Place place(at, transposed);
  float* to = b.decoded.back().numbers.data();
  for (std::uint32_t k = 0; k < 16; ++k)
    for (std::uint32_t o = 0; o < static_cast<std::uint32_t>(outer); ++o) {
      std::uint16_t half = 0;
      std::memcpy(&half, memory_at(place(o, k)), sizeof half);
      *to++ = bfloat16 ? half_bits::from_bfloat16(half) : half_bits::from_float16(half);
    }
  return b.decoded.back().numbers.data();
}

// What registers hold while products are under way.
const std::uint32_t kUnderWay = 0x7fc0dead;
bool untouched(const float* x, std::size_t n) {
  return std::all_of(x, x + n, [](const float& one) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &one, sizeof bits);
    return bits == kUnderWay;
  });
}

}  // namespace

void init_barrier(AsyncBarrier*& barrier, int arrivals) {
  Block& b = block();
  b.barriers.push_back(std::make_unique<AsyncBarrier>());
  barrier = b.barriers.back().get();
  barrier->expected = barrier->missing = arrivals;
  barrier->maker = running->linear;
  barrier->made = b.interval;
}

void publish_barriers() {
  for (const auto& one : block().barriers)
    if (one->maker == running->linear) one->published = true;
}

void arrive_at(AsyncBarrier* barrier, std::uint32_t bytes) {
  AsyncBarrier& to = checked(barrier);
  if (to.missing == 0) fault("more threads arrive at a barrier than its phase expects");
  warp().known[static_cast<std::size_t>(warp_of(running->linear))] = warp().over;
  learn(to.coming, warp().known);
  to.bytes += bytes;
  --to.missing;
  ++to.changes;
  end_phase_if_over(to);
}

void wait_for(AsyncBarrier* barrier, std::uint32_t parity) {
  AsyncBarrier& on = checked(barrier);
  while ((on.phase & 1) == (parity & 1)) {
    if (on.missing == 0 && !on.copies.empty()) {
      for (const auto& copy : std::exchange(on.copies, {})) copy();
      ++on.changes;
      end_phase_if_over(on);
    } else {
      wait_for_change(on.changes, "Barriers::wait");
    }
  }
  learn(warp().known, on.passed);
  thread().waited[&on] = on.phase;
}

void copy_box(const cuda::MatrixStack& from, int near, int far, int z, std::uint32_t to,
              AsyncBarrier* barrier) {
  AsyncBarrier& counter = checked(barrier);
  if (!counter.published) fault("a copy counts at a barrier that barriers_ready did not publish");
  if (to % kAtomBytes != 0) fault(cat("tile memory: a box is copied to address ", to));
  const Known& known = warp().known;
  for (std::uint32_t at = to; at < to + cuda::kBoxBytes; at += kAtomBytes) {
    Atom& atom = atom_at(at);
    if (atom.under_way) fault(cat("tile memory: two copies to address ", at, " at a time"));
    for (std::size_t w = 0; w < kWarps; ++w)
      if (atom.readers[w] > known[w])
        fault(cat("tile memory: a copy to address ", at,
                  " overwrites what a product may still read"));
    atom.under_way = true;
    atom.by = &counter;
    atom.phase = counter.phase;
    std::memset(memory_at(at), 0xff, kAtomBytes);
  }
  ++block().deliveries;
  counter.copies.emplace_back([=, &counter] {
    const Global<const std::uint16_t> numbers(static_cast<const std::uint16_t*>(from.data));
    for (int r = 0; r < cuda::kBoxSide; ++r)
      for (int c = 0; c < cuda::kBoxSide; ++c) {
        const bool exists = z >= 0 && z < from.count && far + r >= 0 && far + r < from.far &&
                            near + c >= 0 && near + c < from.near;
        const std::uint16_t number =
            exists ? numbers[z * from.step + (far + r) * from.pitch + near + c] : 0;
        std::memcpy(memory_at(swizzled(to + static_cast<std::uint32_t>(r * 128 + c * 2))), &number,
                    sizeof number);
      }
    for (std::uint32_t at = to; at < to + cuda::kBoxBytes; at += kAtomBytes) {
      Atom& atom = atom_at(at);
      atom.under_way = false;
      atom.written = true;
      atom.arrived = block().interval;
    }
    counter.bytes -= cuda::kBoxBytes;
    ++block().deliveries;
  });
  ++counter.changes;
}

std::uint32_t first_tile_address() { return kFirstAddress; }

void begin_products() {
  exchange(0);
  thread().begun = true;
}

void multiply(const GroupProduct& p, float* sum) {
  Block& b = block();
  Thread& me = thread();
  // The same product in the 32 threads of a warp and in the four warps of a group.
  const std::uint64_t told = p.at_a * 0x9e3779b97f4a7c15ull + p.at_w;
  const std::uint64_t* all = exchange(told);
  for (int lane = 0; lane < 32; ++lane)
    if (all[lane] != told) fault("the threads of a warp multiply different operands");
  auto& group = b.told[static_cast<std::size_t>(running->linear / kWarpgroup)];
  if (me.products == group.size()) group.push_back(told);
  if (group[me.products] != told) fault("the warps of a warpgroup multiply different operands");
  ++me.products;

  const auto n = static_cast<std::size_t>(p.n) / 2;  // results of a thread
  auto mine = std::find_if(me.sums.begin(), me.sums.end(),
                           [sum](const Sum& one) { return one.registers == sum; });
  if (mine == me.sums.end()) {
    if (!me.begun) fault("a product begins without warpgroup_begin");
    me.sums.push_back({sum, std::vector<float>(sum, sum + n)});
    mine = me.sums.end() - 1;
    for (std::size_t i = 0; i < n; ++i) std::memcpy(sum + i, &kUnderWay, sizeof kUnderWay);
  } else if (!untouched(sum, n)) {
    fault("the sum of a product is touched while it is under way");
  }
  mine->last = me.products;

  const Place place_a(p.at_a, p.a_transposed), place_w(p.at_w, p.w_transposed);
  const auto w = static_cast<std::size_t>(warp_of(running->linear));
  const auto read = [&](std::uint32_t address) {
    check_readable(address);
    std::uint32_t& last = atom_at(address).readers[w];
    last = std::max(last, me.products);
  };
  place_a.each_atom(64, read);
  place_w.each_atom(static_cast<std::uint32_t>(p.n), read);

  const float* const x = decoded(p.at_a, p.a_transposed, p.bfloat16, 64);
  const float* const y = decoded(p.at_w, p.w_transposed, p.bfloat16, p.n);
  const int lane = running->linear % 32, g = lane / 4 + running->linear % kWarpgroup / 32 * 16;
  for (std::size_t i = 0; i < n; i += 2) {
    const int row = g + static_cast<int>(i % 4 / 2) * 8;
    const int col = static_cast<int>(i / 4) * 8 + lane % 4 * 2;
    double two[2] = {};
    for (int k = 0; k < 16; ++k)
      for (int c = 0; c < 2; ++c) two[c] += double{x[k * 64 + row]} * double{y[k * p.n + col + c]};
    for (std::size_t c = 0; c < 2; ++c)
      mine->values[i + c] = detail::cut_off(double{mine->values[i + c]} + two[c]);
  }
}

void end_group_of_products() {
  exchange(1);
  thread().groups.push_back(thread().products);
}

void wait_for_products(int groups_left) {
  exchange(2);
  Thread& me = thread();
  std::uint32_t over = warp().over;
  while (me.groups.size() > static_cast<std::size_t>(groups_left)) {
    over = std::max(over, me.groups.front());
    me.groups.pop_front();
  }
  warp().over = over;  // the whole warp is here
  me.begun = false;
  std::erase_if(me.sums, [&](Sum& sum) {
    if (sum.last > over) return false;
    if (!untouched(sum.registers, sum.values.size()))
      fault("the sum of a product is touched while it is under way");
    std::copy(sum.values.begin(), sum.values.end(), sum.registers);
    return true;
  });
}

}  // namespace densa::emulation
