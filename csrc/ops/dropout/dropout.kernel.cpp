// Compiled once per CPU level. A cell is the mask of 16 consecutive elements: four Philox blocks.
//
// A block takes one 64-bit lane: a counter word sits in the lane's low half, where the widening
// multiply reads it, and what lies in the high half is never looked at. The first two rounds see
// counter words that all blocks share, so half of their products are made once per call.
#include "ops/dropout/dropout.h"
#include "base/philox.h"
#include "ops/dropout/keep.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

using Blocks = Vec<std::uint64_t>;
constexpr int kAtOnce = 2;  // vectors in flight, to hide the latency of the multiplies
constexpr std::uint64_t kFirst = 0xD2511F53u, kSecond = 0xCD9E8D57u;
constexpr std::uint64_t kLow = 0xFFFFFFFFu;

// The product of the lanes' low halves.
DENSA_ALWAYS_INLINE Blocks product(Blocks a, Blocks b) {
#ifdef __aarch64__
  return (Blocks)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#elif defined(__AVX512F__)
  return (Blocks)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Blocks)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (Blocks)_mm_mul_epu32((__m128i)a, (__m128i)b);
#endif
}

DENSA_ALWAYS_INLINE Blocks xor3(Blocks a, Blocks b, Blocks c) {
#ifdef __AVX512F__
  return (Blocks)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
  return a ^ b ^ c;
#endif
}

DENSA_ALWAYS_INLINE Blocks swap_halves(Blocks v) { return (v >> 32) | (v << 32); }

// What all blocks of one call share.
struct Shared {
  Blocks k0[10], k1[10];          // round keys
  Blocks c2_1, c0_2, c2_2, c2_3;  // shared summands of counter word c after round r
  PhiloxKey key;
  std::uint64_t step;
  bool narrow;  // all block numbers fit 32 bits
};

Shared shared_of(std::uint64_t seed, std::uint64_t stream, std::uint64_t step,
                 std::int64_t elements) {
  Shared s;
  s.key = philox_key(seed, stream);
  s.step = step;
  s.narrow = elements < (std::int64_t{1} << 34) - 256;
  std::uint64_t k0[10], k1[10];
  for (std::uint32_t r = 0; r < 10; ++r) {
    k0[r] = s.key.low + r * 0x9E3779B9u;
    k1[r] = s.key.high + r * 0xBB67AE85u;
    s.k0[r] = broadcast<std::uint64_t>(k0[r]);
    s.k1[r] = broadcast<std::uint64_t>(k1[r]);
  }
  const std::uint64_t b = kSecond * (step & kLow);  // round 1, from c2 = low half of step
  const std::uint64_t a = kFirst * (((b >> 32) ^ k0[0]) & kLow);  // round 2, from c0
  s.c2_1 = broadcast<std::uint64_t>((step >> 32) ^ k1[0]);
  s.c0_2 = broadcast<std::uint64_t>((b & kLow) ^ k0[1]);
  s.c2_2 = broadcast<std::uint64_t>((a >> 32) ^ k1[1]);
  s.c2_3 = broadcast<std::uint64_t>((a & kLow) ^ k1[2]);
  return s;
}

// Words 0 and 1 of every block in p, words 2 and 3 in q, to memory order. Even lanes hold the first
// half of the vector's blocks, odd lanes the second.
template <class V>
DENSA_ALWAYS_INLINE void to_memory_order(V p, V q, V& first_half, V& second_half) {
  if constexpr (kWidth<V> == 8) {
    first_half = __builtin_shufflevector(p, q, 0, 8, 2, 10, 4, 12, 6, 14);
    second_half = __builtin_shufflevector(p, q, 1, 9, 3, 11, 5, 13, 7, 15);
  } else if constexpr (kWidth<V> == 4) {
    first_half = __builtin_shufflevector(p, q, 0, 4, 2, 6);
    second_half = __builtin_shufflevector(p, q, 1, 5, 3, 7);
  } else {
    first_half = __builtin_shufflevector(p, q, 0, 2);
    second_half = __builtin_shufflevector(p, q, 1, 3);
  }
}

// The words of the given blocks, kAtOnce vectors of them; see to_memory_order for their order.
DENSA_ALWAYS_INLINE void philox_vectors(const Shared& s, const Blocks (&block)[kAtOnce],
                                        Blocks (&first_half)[kAtOnce],
                                        Blocks (&second_half)[kAtOnce]) {
  const Blocks m0 = broadcast<std::uint64_t>(kFirst), m1 = broadcast<std::uint64_t>(kSecond);
  Blocks c0[kAtOnce], c1[kAtOnce], c2[kAtOnce], c3[kAtOnce];
#pragma GCC unroll 2
  for (int v = 0; v < kAtOnce; ++v) {
    const Blocks a = product(block[v], m0);            // round 1
    const Blocks b = product((a >> 32) ^ s.c2_1, m1);  // round 2
    c0[v] = (b >> 32) ^ s.c0_2;
    c1[v] = b;
    c2[v] = a ^ s.c2_2;
  }
#pragma GCC unroll 2
  for (int v = 0; v < kAtOnce; ++v) {  // round 3
    const Blocks a = product(c0[v], m0), b = product(c2[v], m1);
    c0[v] = xor3(b >> 32, c1[v], s.k0[2]);
    c1[v] = b;
    c2[v] = (a >> 32) ^ s.c2_3;
    c3[v] = a;
  }
#pragma GCC unroll 6
  for (int r = 3; r < 9; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kAtOnce; ++v) {
      const Blocks a = product(c0[v], m0), b = product(c2[v], m1);
      c0[v] = xor3(b >> 32, c1[v], s.k0[r]);
      c1[v] = b;
      c2[v] = xor3(a >> 32, c3[v], s.k1[r]);
      c3[v] = a;
    }
  }
  const Blocks low = broadcast<std::uint64_t>(kLow);
#pragma GCC unroll 2
  for (int v = 0; v < kAtOnce; ++v) {  // round 10
    const Blocks a = product(c0[v], m0), b = product(c2[v], m1);
    const Blocks p = swap_halves(b) ^ ((c1[v] ^ s.k0[9]) & low);
    const Blocks q = swap_halves(a) ^ ((c3[v] ^ s.k1[9]) & low);
    to_memory_order(p, q, first_half[v], second_half[v]);
  }
}

constexpr int kCells = 4;
using Cells = std::uint32_t[kCells][16];

template <class V>
DENSA_ALWAYS_INLINE void put(std::uint32_t* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <class V>
DENSA_ALWAYS_INLINE void fill_vectors(const Shared& s, const std::uint64_t (&block)[kCells],
                                      Cells& words) {
  V in[kAtOnce], first_half[kAtOnce], second_half[kAtOnce];
  if constexpr (kWidth<V> == 8) {
#pragma GCC unroll 2
    for (int v = 0; v < kAtOnce; ++v) {
      const std::uint64_t a = block[2 * v], b = block[2 * v + 1];
      in[v] = V{a, b, a, b, a, b, a, b} + V{0, 0, 1, 1, 2, 2, 3, 3};
    }
    philox_vectors(s, in, first_half, second_half);
#pragma GCC unroll 2
    for (int v = 0; v < kAtOnce; ++v) {
      put(words[2 * v], first_half[v]);
      put(words[2 * v + 1], second_half[v]);
    }
  } else if constexpr (kWidth<V> == 4) {
    for (int c = 0; c < kCells; c += kAtOnce) {
      for (int v = 0; v < kAtOnce; ++v) in[v] = lane<V>(block[c + v]) + V{0, 2, 1, 3};
      philox_vectors(s, in, first_half, second_half);
      for (int v = 0; v < kAtOnce; ++v) {
        put(words[c + v], first_half[v]);
        put(words[c + v] + 8, second_half[v]);
      }
    }
  } else {
    for (int c = 0; c < kCells; ++c) {
      for (int v = 0; v < kAtOnce; ++v)
        in[v] = lane<V>(block[c] + 2 * static_cast<std::uint64_t>(v)) + V{0, 1};
      philox_vectors(s, in, first_half, second_half);
      for (int v = 0; v < kAtOnce; ++v) {
        put(words[c] + 8 * v, first_half[v]);
        put(words[c] + 8 * v + 4, second_half[v]);
      }
    }
  }
}

// The cells that start at the given blocks.
DENSA_ALWAYS_INLINE void fill(const Shared& s, const std::uint64_t (&block)[kCells], Cells& words) {
  if (s.narrow) {
    fill_vectors<Blocks>(s, block, words);
    return;
  }
  for (int c = 0; c < kCells; ++c)
    for (int b = 0; b < 4; ++b) {
      const PhiloxBlock out = philox(s.key, s.step, block[c] + static_cast<std::uint64_t>(b));
      for (int w = 0; w < 4; ++w) words[c][4 * b + w] = out.word[w];
    }
}

template <class T>
DENSA_ALWAYS_INLINE void apply16(const std::uint32_t* words, const T* x, T* y,
                                 const Keep<T>& keep) {
#pragma GCC unroll 8
  for (std::size_t l = 0; l < 16; l += kLanes<T>) {
    UIntOf<Vec<T>> word;
    if constexpr (sizeof(T) == 4) {
      word = load(words + l);
    } else {
      word = load_as<UIntOf<Vec<T>>>(words + l);
    }
    const Vec<T> scaled = load(x + l) * keep.scale;
    store(y + l, select(word >= keep.threshold, scaled, Vec<T>{}));
  }
}

template <class T>
void on_run(const DropoutRun<T>& a) {
  const Shared s = shared_of(a.seed, a.stream, a.step, a.end);
  const Keep<T> keep = keep_of<T>(a.rate);
  alignas(64) Cells words;
  for (std::int64_t i = a.begin; i < a.end; i += kDropoutBlock) {
    const auto first = static_cast<std::uint64_t>(i) / 4;
    fill(s, {first, first + 4, first + 8, first + 12}, words);
    const std::int64_t n = a.end - i;
    for (int c = 0; c < kCells && 16 * c < n; ++c) {
      const T* x = a.x + i + 16 * c;
      T* y = a.y + i + 16 * c;
      if (n >= 16 * c + 16) {
        apply16(words[c], x, y, keep);
        continue;
      }
      for (std::int64_t j = 0; j < n - 16 * c; ++j) y[j] = keep.of(words[c][j], x[j]);
    }
  }
}

// Rows start at whole blocks: a cell per row of a panel.
template <class T>
void on_whole_blocks(const DropoutPanels<T>& a, const Shared& s, const Keep<T>& keep) {
  alignas(64) Cells words;
  const auto per_row = static_cast<std::uint64_t>(a.cols) / 4;
  for (std::int64_t p = a.first_panel; p < a.last_panel; ++p) {
    const T* x = a.x.panel(p);
    T* y = a.y.panel(p);
    std::uint64_t block =
        4 * static_cast<std::uint64_t>(p) + static_cast<std::uint64_t>(a.row_begin) * per_row;
    for (std::int64_t row = a.row_begin; row < a.row_end;
         row += kCells, block += kCells * per_row) {
      fill(s, {block, block + per_row, block + 2 * per_row, block + 3 * per_row}, words);
      const std::int64_t end = a.row_end - row < kCells ? a.row_end : row + kCells;
      for (std::int64_t r = row; r < end; ++r)
        apply16(words[r - row], x + r * kPanel, y + r * kPanel, keep);
    }
  }
}

// Rows start inside a block: a row of a panel takes its 16 words from two cells.
template <class T>
void on_parts(const DropoutPanels<T>& a, const Shared& s, const Keep<T>& keep) {
  alignas(64) Cells words;
  alignas(64) std::uint32_t joined[kCells][32] = {};
  for (std::int64_t row = a.row_begin; row < a.row_end; row += kCells) {
    const std::int64_t rows = a.row_end - row < kCells ? a.row_end - row : kCells;
    std::uint64_t block[kCells];
    int offset[kCells];
    for (int r = 0; r < kCells; ++r) {
      const auto index = static_cast<std::uint64_t>((row + r) * a.cols + a.first_panel * kPanel);
      block[r] = index / 4;
      offset[r] = static_cast<int>(index % 4);
    }
    const auto next = [&] {
      fill(s, {block[0], block[1], block[2], block[3]}, words);
      for (int r = 0; r < kCells; ++r) block[r] += 4;
    };
    next();
    for (std::int64_t p = a.first_panel; p < a.last_panel; ++p) {
      __builtin_memcpy(joined[0], words[0], 64);
      __builtin_memcpy(joined[1], words[1], 64);
      __builtin_memcpy(joined[2], words[2], 64);
      __builtin_memcpy(joined[3], words[3], 64);
      if (p + 1 < a.last_panel || a.cols - p * kPanel > 13) {  // else 3 + 13 words are enough
        next();
        for (int r = 0; r < kCells; ++r) __builtin_memcpy(joined[r] + 16, words[r], 64);
      }
      for (std::int64_t r = 0; r < rows; ++r)
        apply16(joined[r] + offset[r], a.x.panel(p) + (row + r) * kPanel,
                a.y.panel(p) + (row + r) * kPanel, keep);
    }
  }
}

template <class T>
void on_panels(const DropoutPanels<T>& a) {
  const Shared s = shared_of(a.seed, a.stream, a.step, a.row_end * a.cols);
  const Keep<T> keep = keep_of<T>(a.rate);
  if (a.cols % 4 == 0) {
    on_whole_blocks(a, s, keep);
  } else {
    on_parts(a, s, keep);
  }
}

}  // namespace

extern const DropoutKernels dropout_table;
constinit const DropoutKernels dropout_table = {&on_panels<float>, &on_panels<double>,
                                                &on_run<float>, &on_run<double>};

}  // namespace densa
