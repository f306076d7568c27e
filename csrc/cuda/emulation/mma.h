// The words of cuda/mma.h for an ordinary compiler: a warp exchanges its operands, then each thread
// computes its four results.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/half.h"
#include "cuda/emulation/copies.h"
#include "cuda/kernel.h"

namespace densa::inline DENSA_ISA {
namespace detail {

inline float to_float(std::uint32_t bits) {
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}
inline std::uint32_t to_bits(float x) {
  std::uint32_t out;
  std::memcpy(&out, &x, sizeof out);
  return out;
}

// What of x fits into a float; the rest is cut off.
inline float cut_off(double x) {
  const auto near = static_cast<float>(x);
  return std::isfinite(near) && std::abs(double{near}) > std::abs(x) ? std::nextafterf(near, 0)
                                                                     : near;
}

// number(r, k): element k of one of a thread's registers, for kPer elements in each.
template <int kPer, class F>
void mma(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], const F& number) {
  std::uint32_t all_a[4][32], all_b[2][32];
  const auto gather = [](std::uint32_t low, std::uint32_t high, std::uint32_t(&to_low)[32],
                         std::uint32_t(&to_high)[32]) {
    const std::uint64_t* all = emulation::exchange(std::uint64_t{high} << 32 | low);
    for (int lane = 0; lane < 32; ++lane) {
      to_low[lane] = static_cast<std::uint32_t>(all[lane]);
      to_high[lane] = static_cast<std::uint32_t>(all[lane] >> 32);
    }
  };
  gather(a[0], a[1], all_a[0], all_a[1]);
  gather(a[2], a[3], all_a[2], all_a[3]);
  gather(b[0], b[1], all_b[0], all_b[1]);
  const int lane = emulation::running->linear & 31, g = lane / 4, p = lane % 4;
  for (int i = 0; i < 4; ++i) {
    const int column = 2 * p + i % 2;
    double sum = 0;
    for (int k = 0; k < 8 * kPer; ++k) {
      const int from = k / kPer % 4, half = k / kPer / 4;
      sum += double{number(all_a[2 * half + i / 2][g * 4 + from], k % kPer)} *
             double{number(all_b[half][column * 4 + from], k % kPer)};
    }
    c[i] = cut_off(double{c[i]} + sum);
  }
}

}  // namespace detail

inline std::uint32_t to_tf32(float x) {
  const std::uint32_t bits = detail::to_bits(x);
  if (!std::isfinite(x)) return x != x ? 0x7fffe000u : bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

inline void mma_tf32(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  detail::mma<1>(c, a, b, [](std::uint32_t r, int) { return detail::to_float(r & 0xffffe000u); });
}
inline void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  detail::mma<2>(c, a, b, [](std::uint32_t r, int k) {
    return half_bits::from_bfloat16(static_cast<std::uint16_t>(r >> (16 * k)));
  });
}
inline void mma_f16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  detail::mma<2>(c, a, b, [](std::uint32_t r, int k) {
    return half_bits::from_float16(static_cast<std::uint16_t>(r >> (16 * k)));
  });
}

// Until a copy is waited for its place holds NaN: it may be written at any moment.
template <int kN>
void copy_one_async(Shared<float, kN>& x, int i, const Global<const float>& p, std::ptrdiff_t at,
                    int count) {
  const float value = count > 0 ? p[at] : 0;
  x.set(i, std::numeric_limits<float>::quiet_NaN());
  emulation::begin_copy([&x, i, value] { x.set(i, value); });
}
template <int kN>
void copy_four_async(Shared<float, kN>& x, int i, const Global<const float>& p, std::ptrdiff_t at,
                     int count) {
  const float* const from = p.pointer() + at;
  if (count > 0 && reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
    emulation::bad_access(from, 16, p.bounds());
  if (i % 4 != 0)
    emulation::fault("shared memory: a copy of 16 bytes to element " + std::to_string(i));
  for (int j = 0; j < 4; ++j) copy_one_async(x, i + j, p, at + j, count > j ? 1 : 0);
}
template <int kN>
void copy_eight_async(Shared<std::uint32_t, kN>& x, int i, const Global<const std::uint16_t>& p,
                      std::ptrdiff_t at, int count) {
  const std::uint16_t* const from = p.pointer() + at;
  if (count > 0 && reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
    emulation::bad_access(from, 16, p.bounds());
  if (i % 4 != 0)
    emulation::fault("shared memory: a copy of 16 bytes to element " + std::to_string(i));
  for (int j = 0; j < 4; ++j) {
    const std::uint32_t low = count > 2 * j ? p[at + 2 * j] : 0;
    const std::uint32_t high = count > 2 * j + 1 ? p[at + 2 * j + 1] : 0;
    x.set(i + j, 0xffffffffu);
    emulation::begin_copy([&x, i, j, low, high] { x.set(i + j, high << 16 | low); });
  }
}

namespace detail {

// get(word) makes a thread's word of one matrix, where word(row, pair) is two neighbours in a row.
template <int kN, class F>
void matrices(const Shared<std::uint32_t, kN>& x, int i, std::uint32_t (&out)[4], const F& get) {
  if (i % 4 != 0)
    emulation::fault("shared memory: a row of 16 bytes from element " + std::to_string(i));
  const std::uint64_t* rows = emulation::exchange(static_cast<std::uint64_t>(i));
  for (int m = 0; m < 4; ++m)
    out[m] = get([&](int row, int pair) { return x[static_cast<int>(rows[8 * m + row]) + pair]; });
}

}  // namespace detail

template <int kN>
void load_matrices(const Shared<std::uint32_t, kN>& x, int i, std::uint32_t (&out)[4]) {
  const int lane = emulation::running->linear & 31;
  detail::matrices(x, i, out, [lane](const auto& word) { return word(lane / 4, lane % 4); });
}
template <int kN>
void load_matrices_transposed(const Shared<std::uint32_t, kN>& x, int i, std::uint32_t (&out)[4]) {
  const int lane = emulation::running->linear & 31, column = lane / 4, row = 2 * (lane % 4);
  detail::matrices(x, i, out, [column, row](const auto& word) {
    const auto half = [&](int r) { return word(r, column / 2) >> (16 * (column % 2)) & 0xffffu; };
    return half(row) | half(row + 1) << 16;
  });
}

inline std::uint32_t pack_bfloat16(float low, float high) {
  return std::uint32_t{half_bits::to_bfloat16(high)} << 16 | half_bits::to_bfloat16(low);
}
inline std::uint32_t pack_float16(float low, float high) {
  return std::uint32_t{half_bits::to_float16(high)} << 16 | half_bits::to_float16(low);
}

inline void copies_end_group() { emulation::end_group_of_copies(); }
template <int kLeft>
void copies_wait() {
  emulation::wait_for_copies(kLeft);
}

}  // namespace densa::inline DENSA_ISA
