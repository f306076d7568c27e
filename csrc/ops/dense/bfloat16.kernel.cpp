// Forward with bfloat16 weights. With AVX512_BF16 one instruction adds both products of a word;
// elsewhere a word of w becomes two floats by a shift and a mask, and x, rounded before, lies in
// pairs of floats.
#include "ops/dense/narrow.h"
#include "ops/dense/narrow_tile.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr std::int64_t at_most_panel(std::int64_t n) { return n < kPanel ? n : kPanel; }

#if DENSA_LEVEL == DENSA_LEVEL_v4x

void prepare(const NarrowPrepare& a) {
  for (std::int64_t r = 0; r < a.rows; ++r)
    for (std::int64_t k = 0; k < a.in; k += 2 * kPanel) {
      const std::int64_t left = a.in - k;
      const float* from = a.x.panel(k / kPanel) + r * kPanel;
      const Vec<float> low = load_part(from, static_cast<std::size_t>(at_most_panel(left)));
      const Vec<float> high =
          left > kPanel
              ? load_part(from + a.x.stride, static_cast<std::size_t>(at_most_panel(left - kPanel)))
              : Vec<float>{};
      const __m512bh pairs = _mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
      __builtin_memcpy(a.to + x_offset(a.rows, k / (2 * kPanel), r), &pairs, sizeof pairs);
    }
}

DENSA_ALWAYS_INLINE __m512bh broadcast_word(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, sizeof word);
  return (__m512bh)_mm512_set1_epi32(word);
}
DENSA_ALWAYS_INLINE __m512bh load_words(const std::byte* p) {
  return (__m512bh)_mm512_loadu_si512(p);
}

template <int kRows, int kVecs>
DENSA_ALWAYS_INLINE void add_step(Vec<float> (&sum)[kRows][kVecs], const std::byte* x,
                                  const std::byte* const (&w)[kVecs], std::int64_t at) {
  if constexpr (kVecs > kRows) {  // wide: the broadcasts stay in registers, w passes by
    __m512bh xv[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) xv[i] = broadcast_word(x + i * kXRow);
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      __m512bh wv = load_words(w[j] + at);
      if constexpr (kRows > 1) in_register(wv);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
        sum[i][j] = (Vec<float>)_mm512_dpbf16_ps((__m512)sum[i][j], wv, xv[i]);
    }
  } else {
    __m512bh wv[kVecs];
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) wv[j] = load_words(w[j] + at);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const __m512bh xv = broadcast_word(x + i * kXRow);
#pragma GCC unroll 8
      for (int j = 0; j < kVecs; ++j)
        sum[i][j] = (Vec<float>)_mm512_dpbf16_ps((__m512)sum[i][j], wv[j], xv);
    }
  }
}

#else

// To the nearest bfloat16, ties to even, as a float.
DENSA_ALWAYS_INLINE Vec<float> rounded(Vec<float> x) {
  const Vec<std::uint32_t> b = unsigned_bits(x);
  const Vec<std::uint32_t> up = b + (b >> 16 & 1u) + 0x7fffu, quiet = b | 0x400000u;
  return from_bits<Vec<float>>(select(x != x, quiet, up) & 0xffff0000u);
}

void prepare(const NarrowPrepare& a) {
  constexpr auto kWide = static_cast<std::int64_t>(kLanes<float>);
  for (std::int64_t r = 0; r < a.rows; ++r)
    for (std::int64_t k = 0; k < padded(a.in); k += kWide) {
      const std::int64_t left = a.in - k;
      const float* from = a.x.panel(k / kPanel) + r * kPanel + k % kPanel;
      const Vec<float> x = left >= kWide ? load(from)
                           : left > 0    ? load_part(from, static_cast<std::size_t>(left))
                                         : Vec<float>{};
      store(
          reinterpret_cast<float*>(a.to + x_offset(a.rows, k / (2 * kPanel), r)) + k % (2 * kPanel),
          rounded(x));
    }
}

// Number 0 or 1 of each word.
template <int kPart>
DENSA_ALWAYS_INLINE Vec<float> widened(Vec<std::uint32_t> words) {
  return from_bits<Vec<float>>(kPart == 0 ? words << 16 : words & 0xffff0000u);
}
template <int kPart>
DENSA_ALWAYS_INLINE Vec<float> broadcast_part(const std::byte* x) {
  return broadcast(reinterpret_cast<const float*>(x)[kPart]);
}
DENSA_ALWAYS_INLINE Vec<std::uint32_t> load_words(const std::byte* p) {
  return load(reinterpret_cast<const std::uint32_t*>(p));
}

template <int kPart, int kRows, int kVecs>
DENSA_ALWAYS_INLINE void add_part(Vec<float> (&sum)[kRows][kVecs], const std::byte* x,
                                  const std::byte* const (&w)[kVecs], std::int64_t at) {
  Vec<float> wv[kVecs];
#pragma GCC unroll 8
  for (int j = 0; j < kVecs; ++j) {
    Vec<std::uint32_t> words = load_words(w[j] + at);
    if constexpr (kPart == 1) {  // by shifts: a mask would take a register from the sums
      words = words >> 16;
      in_register(words);
    }
    wv[j] = widened<0>(words);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    const Vec<float> xv = broadcast_part<kPart>(x + i * kXRow);
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) sum[i][j] = mul_add(xv, wv[j], sum[i][j]);
  }
}

template <int kRows, int kVecs>
DENSA_ALWAYS_INLINE void add_step(Vec<float> (&sum)[kRows][kVecs], const std::byte* x,
                                  const std::byte* const (&w)[kVecs], std::int64_t at) {
  if constexpr (kVecs > kRows) {  // wide: the broadcasts stay in registers, w passes by
    Vec<float> low[kRows], high[kRows];
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      low[i] = broadcast_part<0>(x + i * kXRow);
      high[i] = broadcast_part<1>(x + i * kXRow);
    }
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      const Vec<std::uint32_t> words = load_words(w[j] + at);
      const Vec<float> w0 = widened<0>(words), w1 = widened<1>(words);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
        sum[i][j] = mul_add(high[i], w1, mul_add(low[i], w0, sum[i][j]));
    }
  } else {  // tall: one number of the words after the other, which takes fewer registers
    add_part<0>(sum, x, w, at);
    add_part<1>(sum, x, w, at);
  }
}

#endif

struct Tile {
  static constexpr int kSums = 1;

  template <int kRows, int kVecs>
  static void run(const NarrowForward& a, std::int64_t row, std::int64_t vec) {
    const std::int64_t steps = narrow_steps(Narrow::kBFloat16, a.in);
    Vec<float> sum[kRows][kVecs];
    const std::byte* w[kVecs];
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      const NarrowColumn at(vec + j);
      w[j] = a.w + at.panel * steps * kWStep + at.part * 4;
      const Vec<float> b = a.b == nullptr ? Vec<float>{} : load(a.b + at.column());
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[i][j] = b;
    }
    const std::byte* x_panel = a.x + x_offset(a.rows, 0, row);
    std::int64_t at = 0;
    for (std::int64_t left = steps; left > 0; left -= kPanel) {
      const std::byte* x = x_panel;
      for (std::int64_t s = at_most_panel(left); s > 0; --s) {
        add_step(sum, x, w, at);
        x += kXStep;
        at += kWStep;
      }
      x_panel += a.rows * kXRow;
    }
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      const NarrowColumn to(vec + j);
      float* y = a.y.panel(to.panel) + row * kPanel + to.part;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) store(y + i * kPanel, sum[i][j]);
    }
  }
};

}  // namespace

extern const NarrowKernels bfloat16_kernels;
constinit const NarrowKernels bfloat16_kernels = {&prepare, &narrow_forward<Tile>};

}  // namespace densa::inline DENSA_ISA
