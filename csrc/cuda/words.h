// Runs of bytes that are moved as they are, by the widest words that fit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "cuda/kernel.h"

namespace densa::inline DENSA_ISA {

struct alignas(16) Word16 {
  std::uint32_t part[4];
};

inline std::int64_t bits_of(const void* p) {
  return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(p));
}

// The widest of 16, 8, 4, 2 and 1 bytes that divides all of these addresses, lengths and strides.
inline std::int64_t widest_word(std::initializer_list<std::int64_t> all) {
  std::int64_t bits = sizeof(Word16);
  for (std::int64_t one : all) bits |= one;
  return bits & -bits;
}

// Calls f(Word{}) with a word of so many bytes.
template <class F>
void visit_word_of(std::int64_t bytes, const F& f) {
  switch (bytes) {
    case 1: return f(std::uint8_t{});
    case 2: return f(std::uint16_t{});
    case 4: return f(std::uint32_t{});
    case 8: return f(std::uint64_t{});
    default: return f(Word16{});
  }
}

}  // namespace densa::inline DENSA_ISA
