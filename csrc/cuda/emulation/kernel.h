// The words of cuda/kernel.h for an ordinary compiler. Every access to shared and global memory is
// checked; a fault ends the launch with an error that names block and thread.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/pod.h"
#include "cuda/emulation/grid.h"
#include "cuda/emulation/memory.h"
#include "simd/level.h"

// CUDA's words, whose names are not ours to choose.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (::densa::emulation::running->thread)
#define blockIdx (::densa::emulation::running->block)
#define blockDim (::densa::emulation::running->block_size)
#define gridDim (::densa::emulation::running->grid_size)

inline void __syncthreads() { densa::emulation::sync_threads(); }
inline void __syncwarp() { densa::emulation::sync_warp(); }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace densa::inline DENSA_ISA {

// A pointer that knows the memory it was made for.
template <class T>
class Global {
 public:
  Global() = default;
  Global(std::nullptr_t) {}
  explicit Global(T* p) : p_(p), bounds_(emulation::bounds_of(p)) {}
  template <class U>
  requires(std::is_convertible_v<U*, T*> && !std::is_same_v<U, T>) Global(const Global<U>& other)
      : p_(other.pointer()), bounds_(other.bounds()) {}

  T& operator[](std::ptrdiff_t i) const { return *check(moved(p_, i)); }
  T& operator*() const { return *check(p_); }
  T* operator->() const { return check(p_); }
  Global operator+(std::ptrdiff_t n) const { return {moved(p_, n), bounds_}; }
  Global operator-(std::ptrdiff_t n) const { return {moved(p_, -n), bounds_}; }
  std::ptrdiff_t operator-(const Global& other) const { return p_ - other.p_; }
  Global& operator+=(std::ptrdiff_t n) { return p_ = moved(p_, n), *this; }
  Global& operator++() { return p_ = moved(p_, 1), *this; }
  explicit operator bool() const { return p_ != nullptr; }
  bool operator==(std::nullptr_t) const { return p_ == nullptr; }

  T* pointer() const { return p_; }
  emulation::Bounds bounds() const { return bounds_; }

 private:
  Global(T* p, emulation::Bounds bounds) : p_(p), bounds_(bounds) {}
  // In whole numbers: null, and addresses outside of the memory, are fine until they are read.
  static T* moved(T* p, std::ptrdiff_t n) {
    return reinterpret_cast<T*>(reinterpret_cast<std::intptr_t>(p) +
                                n * static_cast<std::ptrdiff_t>(sizeof(T)));
  }
  T* check(T* p) const {
    const auto* low = reinterpret_cast<const std::byte*>(p);
    if (low < bounds_.low || low + sizeof(T) > bounds_.high ||
        reinterpret_cast<std::uintptr_t>(p) % alignof(T) != 0)
      emulation::bad_access(p, sizeof(T), bounds_);
    return emulation::on_host(p);
  }

  T* p_ = nullptr;
  emulation::Bounds bounds_;
};

// Shared memory. Reading what nobody wrote, an index out of range, and two threads at one element
// with no barrier between them, one of them writing, are faults.
template <class T, int N>
class Shared {
 public:
  T operator[](int i) const {
    Cell& cell = at(i);
    const emulation::Running& me = *emulation::running;
    if (cell.serial != me.serial) fault_at(i, " is read but not written");
    if (cell.writer != me.linear && !before(cell.written, cell.writer)) race(i);
    if (cell.reader >= 0 && cell.reader != me.linear && !before(cell.read, cell.reader)) {
      cell.reader = kMany;
    } else if (cell.reader != kMany || cell.read.interval != *me.interval) {
      cell.reader = me.linear;
    }
    cell.read = now();
    return cell.value;
  }
  void set(int i, T value) {
    Cell& cell = at(i);
    const emulation::Running& me = *emulation::running;
    if (cell.serial == me.serial) {
      if (cell.writer != me.linear && !before(cell.written, cell.writer)) race(i);
      if (cell.reader == kMany
              ? cell.read.interval == *me.interval
              : cell.reader >= 0 && cell.reader != me.linear && !before(cell.read, cell.reader))
        race(i);
    } else {
      cell.serial = me.serial;
    }
    cell.reader = kNone;
    cell.writer = me.linear;
    cell.written = now();
    cell.value = value;
  }
  Four<T> four(int i) const {
    check_four(i);
    return {(*this)[i], (*this)[i + 1], (*this)[i + 2], (*this)[i + 3]};
  }
  void set_four(int i, Four<T> value) {
    check_four(i);
    for (int j = 0; j < 4; ++j) set(i + j, value.x[j]);
  }

 private:
  static constexpr int kNone = -1, kMany = -2;
  struct Moment {
    std::uint32_t interval = 0, warp_interval = 0;
  };
  struct Cell {
    T value{};
    std::uint64_t serial = 0;  // of the block that wrote it
    int writer = kNone, reader = kNone;
    Moment written, read;
  };

  Cell& at(int i) const {
    if (static_cast<unsigned>(i) >= static_cast<unsigned>(N)) fault_at(i, " lies outside");
    return cells_[i];
  }
  static void check_four(int i) {
    if (i * sizeof(T) % alignof(Four<T>) != 0)
      fault_at(i, " begins four elements, but not at a multiple of 16 bytes");
  }
  static Moment now() { return {*emulation::running->interval, emulation::running->warp_interval}; }
  // Whether what `thread` did at `moment` is ordered before what this thread does now.
  static bool before(Moment moment, int thread) {
    const emulation::Running& me = *emulation::running;
    if (moment.interval != *me.interval) return true;
    return thread / 32 == me.linear / 32 && moment.warp_interval < me.warp_interval;
  }
  [[noreturn]] static void race(int i) {
    fault_at(i, " is used by two threads, one of them writing, with no barrier between");
  }
  // Out of the way, so that the checks are inlined.
  [[noreturn, gnu::cold, gnu::noinline]] static void fault_at(int i, const char* what) {
    emulation::fault("shared memory: element " + std::to_string(i) + " of " + std::to_string(N) +
                     what);
  }

  mutable Cell cells_[N];
};

template <class T>
Four<std::remove_const_t<T>> load_four(const Global<T>& p, std::ptrdiff_t i) {
  if (reinterpret_cast<std::uintptr_t>(p.pointer() + i) % alignof(Four<T>) != 0)
    emulation::bad_access(p.pointer() + i, alignof(Four<T>), p.bounds());
  return {p[i], p[i + 1], p[i + 2], p[i + 3]};
}
template <class T>
void store_four(const Global<T>& p, std::ptrdiff_t i, Four<T> value) {
  if (reinterpret_cast<std::uintptr_t>(p.pointer() + i) % alignof(Four<T>) != 0)
    emulation::bad_access(p.pointer() + i, alignof(Four<T>), p.bounds());
  for (int j = 0; j < 4; ++j) p[i + j] = value.x[j];
}

namespace detail {

template <class T>
std::uint64_t to_slot(T value) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t slot = 0;
  std::memcpy(&slot, &value, sizeof value);
  return slot;
}
template <class T>
T from_slot(std::uint64_t slot) {
  T value;
  std::memcpy(&value, &slot, sizeof value);
  return value;
}

}  // namespace detail

template <class T>
T shuffle(T value, int lane) {
  return detail::from_slot<T>(emulation::exchange(detail::to_slot(value))[lane & 31]);
}
template <class T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, (emulation::running->linear & 31) ^ mask);
}
template <class T>
T shuffle_down(T value, int offset) {
  const int lane = emulation::running->linear & 31;
  return shuffle(value, lane + offset < 32 ? lane + offset : lane);
}
inline bool any_in_warp(bool value) {
  const std::uint64_t* all = emulation::exchange(value ? 1 : 0);
  bool any = false;
  for (int lane = 0; lane < 32; ++lane) any = any || all[lane] != 0;
  return any;
}
inline unsigned lanes_where(bool value) {
  const std::uint64_t* all = emulation::exchange(value ? 1 : 0);
  unsigned lanes = 0;
  for (int lane = 0; lane < 32; ++lane) lanes |= static_cast<unsigned>(all[lane]) << lane;
  return lanes;
}
inline int first_lane(unsigned lanes) { return std::countr_zero(lanes); }
inline int count_lanes(unsigned lanes) { return std::popcount(lanes); }

inline void atomic_min(Global<long long> p, long long value) {
  if (value < *p) *p = value;
}
inline void atomic_add(Global<int> p, int value) { *p += value; }

}  // namespace densa::inline DENSA_ISA
