// Forward with int8 weights. With AVX512_VNNI one instruction adds the four products of a word;
// elsewhere bytes become 16-bit numbers, whose products are added in pairs: nothing saturates, so
// sums are exact on every level. Floats are multiplied and added one by one, never fused.
#include "ops/dense/narrow.h"
#include "ops/dense/narrow_tile.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr float kLeastScale = 1e-30f;

// ---- x --------------------------------------------------------------------------------------

// f(lanes, k) for all vectors of a row; behind the last number lanes are zero.
template <class F>
DENSA_ALWAYS_INLINE void each_vector(const NarrowPrepare& a, std::int64_t r, const F& f) {
  constexpr auto kWide = static_cast<std::int64_t>(kLanes<float>);
  std::int64_t k = 0;
  for (; k + kWide <= a.in; k += kWide) f(load(a.x.panel(k / kPanel) + r * kPanel + k % kPanel), k);
  if (k < a.in)
    f(load_part(a.x.panel(k / kPanel) + r * kPanel + k % kPanel,
                static_cast<std::size_t>(a.in - k)),
      k);
}

// Whole numbers from 0 to 255 as x's numbers k to k + kLanes.
DENSA_ALWAYS_INLINE void store_bytes(std::byte* row, std::int64_t k, Vec<std::int32_t> u) {
#if DENSA_LEVEL == DENSA_LEVEL_v4x
  const __m128i bytes = _mm512_maskz_cvtepi32_epi8(native::kAll16, (__m512i)u);
  __builtin_memcpy(row + k, &bytes, sizeof bytes);
#else
  typedef std::int16_t Short __attribute__((vector_size(2 * kLanes<float>)));
  const Short shorts = __builtin_convertvector(u, Short);
  __builtin_memcpy(row + 2 * k, &shorts, sizeof shorts);
#endif
}

struct RowScales {
  float* scale;
  std::int32_t* zero;
  DENSA_ALWAYS_INLINE RowScales(std::byte* x, std::int64_t in, std::int64_t rows) {
    std::byte* const behind = x + x_offset(rows, panel_count(narrow_steps(Narrow::kInt8, in)), 0);
    scale = reinterpret_cast<float*>(behind);
    zero = reinterpret_cast<std::int32_t*>(behind + rows * 4);
  }
};

void prepare(const NarrowPrepare& a) {
  const RowScales rows(a.to, a.in, a.rows);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    Vec<float> low{}, high{}, not_finite{};  // the last becomes NaN where one is not, else 0
    each_vector(a, r, [&](Vec<float> x, std::int64_t) {
      low = min_fast(x, low);
      high = max_fast(x, high);
      not_finite += x - x;
    });
    float scale = a.scale, zero = static_cast<float>(a.zero), least = 0, most = 0, bad = 0;
    for (std::size_t i = 0; i < kLanes<float>; ++i) {
      least = low[i] < least ? low[i] : least;
      most = high[i] > most ? high[i] : most;
      bad += not_finite[i];
    }
    if (a.scale == 0) scale = most * (1.0f / 255) - least * (1.0f / 255);
    const bool zeros = !(scale >= kLeastScale);
    const float inverse = zeros ? 0 : 1 / scale;
    if (a.scale == 0) zero = min_fast(max_fast(round_even(-least * inverse), 0.0f), 255.0f);
    rows.scale[r] = (zeros ? 0 : scale) + bad;
    rows.zero[r] = static_cast<std::int32_t>(zero);
    each_vector(a, r, [&](Vec<float> x, std::int64_t k) {
      const Vec<float> u = round_even(x * inverse) + zero;
      const Vec<float> limited =
          min_fast(max_fast(u, Vec<float>{}), broadcast(255.0f));  // NaN becomes 0
      const std::int64_t p = k / (4 * kPanel);
      store_bytes(a.to + x_offset(a.rows, p, r), k % (4 * kPanel),
                  convert<Vec<std::int32_t>>(limited));
    });
  }
}

// ---- products -------------------------------------------------------------------------------

using Ints = Vec<std::int32_t>;

#if DENSA_LEVEL == DENSA_LEVEL_v4x

constexpr int kSumsOfVector = 1;
struct Words {
  __m512i part[1];
};
DENSA_ALWAYS_INLINE Words load_words(const std::byte* p) { return {_mm512_loadu_si512(p)}; }
DENSA_ALWAYS_INLINE __m512i broadcast_word(const std::byte* p) {
  int word;
  __builtin_memcpy(&word, p, sizeof word);
  return _mm512_set1_epi32(word);
}
DENSA_ALWAYS_INLINE Ints add_products(Ints sum, __m512i x, __m512i w) {
  return (Ints)_mm512_dpbusd_epi32((__m512i)sum, x, w);
}
DENSA_ALWAYS_INLINE Ints total(const Ints (&sum)[1]) { return sum[0]; }

#else

constexpr int kSumsOfVector = 2;  // of the first and of the second half of the columns, in pairs

#if DENSA_LEVEL == DENSA_LEVEL_v4
using Shorts = __m512i;
DENSA_ALWAYS_INLINE Shorts widened(const std::byte* p) {
  return _mm512_maskz_cvtepi8_epi16(~__mmask32{0}, _mm256_loadu_si256((const __m256i*)p));
}
DENSA_ALWAYS_INLINE Shorts broadcast_word(const std::byte* p) {
  long long word;
  __builtin_memcpy(&word, p, sizeof word);
  return _mm512_set1_epi64(word);
}
DENSA_ALWAYS_INLINE Ints pair_products(Shorts x, Shorts w) {
  return (Ints)_mm512_maskz_madd_epi16(native::kAll16, x, w);
}
DENSA_ALWAYS_INLINE Ints total(const Ints (&sum)[2]) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i first = (__m512i)sum[0], second = (__m512i)sum[1];
  return (Ints)_mm512_permutex2var_epi32(first, even, second) +
         (Ints)_mm512_permutex2var_epi32(first, (__m512i)((Ints)even + 1), second);
}
#elif DENSA_LEVEL == DENSA_LEVEL_v3
using Shorts = __m256i;
DENSA_ALWAYS_INLINE Shorts widened(const std::byte* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)p));
}
DENSA_ALWAYS_INLINE Shorts broadcast_word(const std::byte* p) {
  long long word;
  __builtin_memcpy(&word, p, sizeof word);
  return _mm256_set1_epi64x(word);
}
DENSA_ALWAYS_INLINE Ints pair_products(Shorts x, Shorts w) { return (Ints)_mm256_madd_epi16(x, w); }
DENSA_ALWAYS_INLINE Ints total(const Ints (&sum)[2]) {  // each half of a vector by itself
  const __m256i pairs = _mm256_hadd_epi32((__m256i)sum[0], (__m256i)sum[1]);
  return (Ints)_mm256_permute4x64_epi64(pairs, _MM_SHUFFLE(3, 1, 2, 0));
}
#elif DENSA_LEVEL == DENSA_LEVEL_v2
using Shorts = __m128i;
DENSA_ALWAYS_INLINE Shorts widened(const std::byte* p) {
  return _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)p));
}
DENSA_ALWAYS_INLINE Shorts broadcast_word(const std::byte* p) {
  const __m128i word = _mm_loadl_epi64((const __m128i*)p);
  return _mm_unpacklo_epi64(word, word);
}
DENSA_ALWAYS_INLINE Ints pair_products(Shorts x, Shorts w) { return (Ints)_mm_madd_epi16(x, w); }
DENSA_ALWAYS_INLINE Ints total(const Ints (&sum)[2]) {
  return (Ints)_mm_hadd_epi32((__m128i)sum[0], (__m128i)sum[1]);
}
#else
using Shorts = int16x8_t;
DENSA_ALWAYS_INLINE Shorts widened(const std::byte* p) {
  return vmovl_s8(vld1_s8(reinterpret_cast<const std::int8_t*>(p)));
}
DENSA_ALWAYS_INLINE Shorts broadcast_word(const std::byte* p) {
  std::int64_t word;
  __builtin_memcpy(&word, p, sizeof word);
  return vreinterpretq_s16_s64(vdupq_n_s64(word));
}
DENSA_ALWAYS_INLINE Ints pair_products(Shorts x, Shorts w) {
  return (Ints)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(w)), vmull_high_s16(x, w));
}
DENSA_ALWAYS_INLINE Ints total(const Ints (&sum)[2]) {
  return (Ints)vpaddq_s32((int32x4_t)sum[0], (int32x4_t)sum[1]);
}
#endif

struct Words {
  Shorts part[2];
};
DENSA_ALWAYS_INLINE Words load_words(const std::byte* p) {
  return {widened(p), widened(p + sizeof(Shorts) / 2)};
}
DENSA_ALWAYS_INLINE Ints add_products(Ints sum, Shorts x, Shorts w) {
  return sum + pair_products(x, w);
}

#endif

// Some rows and one vector of columns of y hold sums of u * q; they become the result.
[[gnu::noinline]] void finish(const NarrowForward& a, std::int64_t row, int rows,
                              const NarrowColumn& at) {
  const RowScales x(const_cast<std::byte*>(a.x), a.in, a.rows);  // which is only read
  const Vec<float> scale = load(a.scale + at.column());
  const Ints column_sum = load(a.sum + at.column());
  const Vec<float> b = a.b == nullptr ? Vec<float>{} : load(a.b + at.column());
  float* y = a.y.panel(at.panel) + row * kPanel + at.part;
  for (std::int64_t r = row; r < row + rows; ++r, y += kPanel) {
    const Ints exact = bit_cast<Ints>(load(y)) - column_sum * x.zero[r];
    store(y, convert<Vec<float>>(exact) * (scale * x.scale[r]) + b);
  }
}

struct Tile {
  static constexpr int kSums = kSumsOfVector;

  template <int kRows, int kVecs>
  static void run(const NarrowForward& a, std::int64_t row, std::int64_t vec) {
    const std::int64_t steps = narrow_steps(Narrow::kInt8, a.in);
    Ints sum[kRows][kVecs][kSums];
    const std::byte* w[kVecs];
#pragma GCC unroll 8
    for (int j = 0; j < kVecs; ++j) {
      const NarrowColumn at(vec + j);
      w[j] = a.w + at.panel * steps * kWStep + at.part * 4;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
        for (int h = 0; h < kSums; ++h) sum[i][j][h] = Ints{};
      }
    }
    const std::byte* x_panel = a.x + x_offset(a.rows, 0, row);
    std::int64_t at = 0;
    for (std::int64_t left = steps; left > 0; left -= kPanel) {
      const std::byte* x = x_panel;
      for (std::int64_t s = left < kPanel ? left : kPanel; s > 0; --s) {
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
      for (int i = 0; i < kRows; ++i) store(y + i * kPanel, bit_cast<Vec<float>>(total(sum[i][j])));
    }
    for (int j = 0; j < kVecs; ++j) finish(a, row, kRows, NarrowColumn(vec + j));
  }

 private:
  template <int kRows, int kVecs>
  static DENSA_ALWAYS_INLINE void add_step(Ints (&sum)[kRows][kVecs][kSums], const std::byte* x,
                                           const std::byte* const (&w)[kVecs], std::int64_t at) {
    using X = decltype(broadcast_word(x));
    if constexpr (kVecs > kRows) {  // wide: the broadcasts stay in registers, w passes by
      X xv[kRows];
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) xv[i] = broadcast_word(x + i * kXRow);
#pragma GCC unroll 8
      for (int j = 0; j < kVecs; ++j) {
        Words wv = load_words(w[j] + at);
        if constexpr (kRows > 1 && kSums == 1) in_register(wv.part[0]);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
          for (int h = 0; h < kSums; ++h)
            sum[i][j][h] = add_products(sum[i][j][h], xv[i], wv.part[h]);
        }
      }
    } else {
      Words wv[kVecs];
#pragma GCC unroll 8
      for (int j = 0; j < kVecs; ++j) wv[j] = load_words(w[j] + at);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const X xv = broadcast_word(x + i * kXRow);
#pragma GCC unroll 8
        for (int j = 0; j < kVecs; ++j) {
#pragma GCC unroll 2
          for (int h = 0; h < kSums; ++h)
            sum[i][j][h] = add_products(sum[i][j][h], xv, wv[j].part[h]);
        }
      }
    }
  }
};

}  // namespace

extern const NarrowKernels int8_kernels;
constinit const NarrowKernels int8_kernels = {&prepare, &narrow_forward<Tile>};

}  // namespace densa::inline DENSA_ISA
