// Philox4x32-10: 128 random bits from a 64-bit key and a 128-bit counter, with no state to carry.
//
// Numbers are addressed, not drawn: element i of a stream lies in block i / 4, word i % 4 (doubles:
// block i / 2, words 2 (i % 2) and the next), so any element can be made anywhere, in any order.
// Everything is always_inline: kernel files include this once per CPU level.
#pragma once
#include <cstdint>

#include "base/pod.h"

#define DENSA_PHILOX DENSA_ALWAYS_INLINE

namespace densa {

struct PhiloxBlock {
  std::uint32_t word[4];
};

// Key = (seed, stream), counter = (block, step), each 64 bits; the key words mix seed and stream.
struct PhiloxKey {
  std::uint32_t low;
  std::uint32_t high;
};

// splitmix64's finaliser: spreads every input bit over all output bits.
DENSA_PHILOX std::uint64_t philox_mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

DENSA_PHILOX PhiloxKey philox_key(std::uint64_t seed, std::uint64_t stream) {
  const std::uint64_t key = philox_mix(seed + 0x9e3779b97f4a7c15ull * (stream + 1));
  return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

DENSA_PHILOX PhiloxBlock philox(PhiloxKey key, std::uint64_t step, std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block);
  std::uint32_t c1 = static_cast<std::uint32_t>(block >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(step);
  std::uint32_t c3 = static_cast<std::uint32_t>(step >> 32);
  std::uint32_t k0 = key.low;
  std::uint32_t k1 = key.high;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(b);
    c2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(a);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// [0, 1) in steps of 2^-24.
DENSA_PHILOX float uniform_float(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

// [0, 1) in steps of 2^-53.
DENSA_PHILOX double uniform_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32) | low;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// Two independent standard normals from a block (Box-Muller in double). It calls the C library, so
// it is for filling tensors, not for kernel files that need one result on every CPU level. A GPU's
// library differs from it by a few ulp of a double.
DENSA_PHILOX void normal_pair(const PhiloxBlock& block, double& first, double& second) {
  const double u = uniform_double(block.word[0], block.word[1]);
  const double v = uniform_double(block.word[2], block.word[3]);
  const double radius = __builtin_sqrt(-2.0 * __builtin_log(1.0 - u));  // 1 - u lies in (0, 1]
  const double angle = 6.283185307179586476925 * v;
  first = radius * __builtin_cos(angle);
  second = radius * __builtin_sin(angle);
}

}  // namespace densa

#undef DENSA_PHILOX
