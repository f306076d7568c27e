// Device memory as the emulation knows it: what was allocated, and what of it is a part of its own.
//
// Device addresses are real addresses that nobody can read: the host crashes there as it would with
// a GPU. Behind them lies the same memory a second time, readable, at a fixed distance: on_host().
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace densa::emulation {

struct Bounds {
  const std::byte* low = nullptr;
  const std::byte* high = nullptr;
};

// The part, else the allocation, that `p` lies in or just behind; {p, p} if it is no device memory.
Bounds bounds_of(const void* p);

extern std::ptrdiff_t distance;  // from a device address to its readable twin
template <class T>
T* on_host(T* p) {
  return reinterpret_cast<T*>(reinterpret_cast<std::intptr_t>(p) + distance);
}

// Null if there is not enough. Memory lies between guard zones and is filled with bytes of all
// ones: as floats they are NaN.
void* allocate(std::size_t bytes);
// Throws std::runtime_error if something was written to a guard zone, or for no such allocation.
void release(void* memory);
void mark_part(const void* memory, std::size_t bytes);
void forget_parts(const void* memory, std::size_t bytes);
// Throws std::runtime_error naming `what` unless [p, p + bytes) lies in one allocation.
void check_range(const void* p, std::size_t bytes, const char* what);

// An access that hardware might have let through. Ends the thread that runs and the launch.
[[noreturn]] void bad_access(const void* p, std::size_t bytes, Bounds bounds);

}  // namespace densa::emulation
