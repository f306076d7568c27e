// The words of cuda/mma.h in the emulation: products of a warp against plain loops, and copies that
// are used before they are there.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/half.h"
#include "check.h"
#include "cuda/launch.h"
#include "cuda/mma.h"
#include "cuda_device.h"

namespace densa::inline DENSA_ISA {
namespace {

enum Kind { kTf32, kBf16, kF16 };

// Halves of the whole numbers -8 ... 8 are exact in all three types.
std::uint16_t half_of(Kind kind, float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if (kind == kBf16) return static_cast<std::uint16_t>(bits >> 16);
  if (x == 0) return 0;
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | ((bits >> 23 & 255) - 112) << 10 |
                                    (bits >> 13 & 1023));
}

// c += a * b with a (16, K), b (K, 8), c (16, 8) row-major; operands are words of 32 bits.
__global__ void one_product(int kind, Global<const std::uint32_t> a, Global<const std::uint32_t> b,
                            Global<float> c) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, p = lane % 4;
  // In both cases a row of a has eight words or two times four, a column of b as well.
  std::uint32_t x[4], w[2];
  float y[4];
  for (int i = 0; i < 4; ++i) {
    x[i] = a[(g + i % 2 * 8) * 8 + p + i / 2 * 4];
    y[i] = c[(g + i / 2 * 8) * 8 + 2 * p + i % 2];
  }
  for (int i = 0; i < 2; ++i) w[i] = b[g * 8 + p + i * 4];
  if (kind == kTf32) mma_tf32(y, x, w);
  if (kind == kBf16) mma_bf16(y, x, w);
  if (kind == kF16) mma_f16(y, x, w);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * p + i % 2] = y[i];
}

void test_products(cuda::Stream stream) {
  for (Kind kind : {kTf32, kBf16, kF16}) {
    const int per = kind == kTf32 ? 1 : 2, depth = 8 * per;
    std::uint32_t state = 1;
    const auto next = [&] {
      state = state * 1664525u + 1013904223u;
      return static_cast<float>(static_cast<int>(state >> 16) % 33 - 16) / 2;
    };
    std::vector<float> a(16 * static_cast<std::size_t>(depth)),
        b(8 * static_cast<std::size_t>(depth)),
        c(128);  // b transposed: [column][k]
    for (float& x : a) x = next();
    for (float& x : b) x = next();
    for (float& x : c) x = next();
    const auto words = [&](const std::vector<float>& from) {
      std::vector<std::uint32_t> out(from.size() / static_cast<std::size_t>(per));
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = per == 1 ? std::bit_cast<std::uint32_t>(from[i])
                          : half_of(kind, from[2 * i]) |
                                std::uint32_t{half_of(kind, from[2 * i + 1])} << 16;
      return out;
    };
    const Device<std::uint32_t> on_a(words(a), stream), on_b(words(b), stream);
    const Device<float> on_c(c, stream);
    cuda::launch(stream, {{1}, {32}}, one_product, static_cast<int>(kind), on_a.get(), on_b.get(),
                 on_c.get());
    const std::vector<float> y = on_c.host(stream);
    for (int r = 0; r < 16; ++r)
      for (int n = 0; n < 8; ++n) {
        const int at = r * 8 + n;
        float want = c[at];
        for (int k = 0; k < depth; ++k) want += a[r * depth + k] * b[n * depth + k];
        CHECK(y[at] == want, "kind %d at (%d, %d): %g, not %g", kind, r, n, double{y[at]},
              double{want});
      }
  }
}

void test_tf32() {
  const auto back = [](float x) { return std::bit_cast<float>(to_tf32(x)); };
  CHECK(back(1 + 0x1p-11f) == 1 + 0x1p-10f, "halves go up: %a", double{back(1 + 0x1p-11f)});
  CHECK(back(-1 - 0x1p-11f) == -1 - 0x1p-10f, "and down below zero");
  CHECK(back(1 + 0x1p-12f) == 1, "less than half is dropped");
  CHECK(std::isnan(back(std::numeric_limits<float>::quiet_NaN())), "NaN");
  CHECK(back(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<float>::infinity(),
        "infinity");
}

enum Plant { kNone, kNoWait, kEarlyWait, kNoBarrier, kPastEnd, kMisaligned, kOverwrites };

// y = x by way of shared memory, in two groups; of the last four elements only three exist.
__global__ void copy_through(Global<const float> x, Global<float> y, int plant) {
  __shared__ Shared<float, 256> tile;
  const int t = static_cast<int>(threadIdx.x), n = 255;
  if (t < 32) copy_four_async(tile, 4 * t, x, plant == kMisaligned ? 4 * t + 1 : 4 * t, 4);
  copies_end_group();
  if (t < 32) {
    const int left = n - 128 - 4 * t;
    copy_four_async(tile, 128 + 4 * t, x, 128 + 4 * t, left < 4 && plant != kPastEnd ? left : 4);
  }
  copies_end_group();
  if (plant == kEarlyWait) copies_wait<1>();
  if (plant != kNoWait && plant != kEarlyWait) copies_wait<0>();
  if (plant != kNoBarrier) __syncthreads();
  for (int i = t; i < 256; i += 64) y[i] = tile[(i + 64) % 256];
  if (plant == kOverwrites && t == 0) copy_one_async(tile, 200, x, 0, 1);
}

void test_copies(cuda::Stream stream) {
  std::vector<float> numbers(255);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i + 1);
  const Device<float> x(numbers, stream);
  for (std::uint64_t order : {0, 1, 2, 3}) {
    emulation::set_order(order);
    for (int plant = kNone; plant <= kOverwrites; ++plant) {
      const Device<float> y(std::vector<float>(256), stream);
      std::string error;
      bool right = true;
      try {
        cuda::launch(stream, {{1}, {64}}, copy_through, x.get(), y.get(), plant);
        const std::vector<float> out = y.host(stream);
        for (std::size_t i = 0; i < 256; ++i)
          right = right && out[i] == ((i + 64) % 256 < 255 ? numbers[(i + 64) % 256] : 0);
      } catch (const std::runtime_error& e) {
        error = e.what();
      }
      if (plant == kNone) {
        CHECK(error.empty() && right, "order %d: '%s'", static_cast<int>(order), error.c_str());
      } else {
        CHECK(!error.empty() || !right, "plant %d, order %d is not seen", plant,
              static_cast<int>(order));
      }
    }
  }
  emulation::set_order(0);
}

// Eight rows of each of four matrices, in an order that no layout of a tile has.
constexpr int row_start(int row) { return (row * 5 + 3) % 32 * 4; }

// out: [transposed][thread][4] words. Element (r, c) of matrix j is the number 64 j + 8 r + c.
__global__ void matrices_through(Global<const std::uint16_t> numbers, Global<std::uint32_t> out) {
  __shared__ Shared<std::uint32_t, 128> tile;
  const int t = static_cast<int>(threadIdx.x);
  copy_eight_async(tile, row_start(t), numbers, 8 * t, 8);
  copies_end_group();
  copies_wait<0>();
  __syncthreads();
  std::uint32_t words[4];
  load_matrices(tile, row_start(t), words);
  for (int j = 0; j < 4; ++j) out[4 * t + j] = words[j];
  load_matrices_transposed(tile, row_start(t), words);
  for (int j = 0; j < 4; ++j) out[128 + 4 * t + j] = words[j];
}

void test_matrices(cuda::Stream stream) {
  std::vector<std::uint16_t> numbers(256);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint16_t>(i);
  const Device<std::uint16_t> x(numbers, stream);
  for (std::uint64_t order : {0, 1, 2, 3}) {
    emulation::set_order(order);
    const Device<std::uint32_t> y(std::vector<std::uint32_t>(256), stream);
    cuda::launch(stream, {{1}, {32}}, matrices_through, x.get(), y.get());
    const std::vector<std::uint32_t> out = y.host(stream);
    for (unsigned t = 0; t < 32; ++t)
      for (unsigned j = 0; j < 4; ++j) {
        const unsigned plain = 64 * j + 8 * (t / 4) + 2 * (t % 4);
        const unsigned turned = 64 * j + 8 * (2 * (t % 4)) + t / 4;
        CHECK(out[4 * t + j] == (plain | (plain + 1) << 16), "matrix %u of thread %u", j, t);
        CHECK(out[128 + 4 * t + j] == (turned | (turned + 8) << 16),
              "transposed matrix %u of thread %u", j, t);
      }
  }
  emulation::set_order(0);
}

// y = the first `count` of eight numbers, then zeros; without the wait they are not there yet.
__global__ void eight_through(Global<const std::uint16_t> x, Global<std::uint32_t> y, int count,
                              int at, int waits) {
  __shared__ Shared<std::uint32_t, 4> tile;
  copy_eight_async(tile, 0, x, at, count);
  copies_end_group();
  if (waits != 0) copies_wait<0>();
  for (int j = 0; j < 4; ++j) y[j] = tile[j];
}

void test_eight(cuda::Stream stream) {
  for (int count = 0; count <= 8; ++count) {
    // So short that a read past `count` is one past the end.
    std::vector<std::uint16_t> numbers(static_cast<std::size_t>(count) + 1, 7);
    for (int i = 0; i < count; ++i)
      numbers[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(i + 1);
    numbers.resize(static_cast<std::size_t>(std::max(count, 1)));
    const Device<std::uint16_t> x(numbers, stream);
    const Device<std::uint32_t> y(std::vector<std::uint32_t>(4), stream);
    const auto words = [&](int waits) {
      cuda::launch(stream, {{1}, {1}}, eight_through, x.get(), y.get(), count, 0, waits);
      return y.host(stream);
    };
    const std::vector<std::uint32_t> out = words(1);
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned want = static_cast<int>(i) < count ? i + 1 : 0;
      CHECK((out[i / 2] >> (16 * (i % 2)) & 0xffffu) == want, "%d copied, number %u", count, i);
    }
    CHECK(words(0)[0] == 0xffffffffu, "a copy that nobody waits for is there");
  }
  const Device<std::uint16_t> x(std::vector<std::uint16_t>(16), stream);
  const Device<std::uint32_t> y(std::vector<std::uint32_t>(4), stream);
  for (const auto& [count, at] : {std::pair{8, 1}, std::pair{8, 16}, std::pair{1, 16}}) {
    bool seen = false;
    try {
      cuda::launch(stream, {{1}, {1}}, eight_through, x.get(), y.get(), count, at, 1);
    } catch (const std::runtime_error&) {
      seen = true;
    }
    CHECK(seen, "a copy of %d from %d is let through", count, at);
  }
}

// By the definition of the formats: digits, and the exponent of the smallest normal number.
double value_of(std::uint16_t half, int digits, int lowest) {
  const int exponent = (half & 0x7fff) >> digits, rest = half & ((1 << digits) - 1);
  const double size = std::ldexp(exponent == 0 ? rest : rest | 1 << digits,
                                 std::max(exponent, 1) - 1 + lowest - digits);
  return (half & 0x8000) != 0 ? -size : size;
}

template <class To, class From>
void test_half(const char* name, int digits, int lowest, const To& to, const From& from,
               std::uint32_t (*pack)(float, float)) {
  const int infinity = 0x7fff >> digits << digits;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (int sign : {0, 0x8000}) {
    const auto half = [sign](int h) { return static_cast<std::uint16_t>(h | sign); };
    for (int h = 0; h < infinity; ++h) {
      const double x = value_of(half(h), digits, lowest);
      CHECK(double{from(half(h))} == x, "%s: %x is %g", name, h | sign, x);
      CHECK(to(static_cast<float>(x)) == half(h), "%s: %g becomes %x", name, x, h | sign);
      const double next = value_of(half(h + 1), digits, lowest);  // were there one above the last
      const auto middle = static_cast<float>((x + next) / 2);
      CHECK(to(middle) == half(h + h % 2), "%s: half way from %g", name, x);
      CHECK(to(std::nextafterf(middle, 0)) == half(h), "%s: less than half way from %g", name, x);
      CHECK(to(std::nextafterf(middle, sign != 0 ? -kInfinity : kInfinity)) == half(h + 1),
            "%s: more than half way from %g", name, x);
      CHECK(pack(middle, static_cast<float>(x)) ==
                (static_cast<std::uint32_t>(half(h)) << 16 | half(h + h % 2)),
            "%s: the first number lies below", name);
    }
    const float end = sign != 0 ? -kInfinity : kInfinity;
    CHECK(to(end) == half(infinity) && from(half(infinity)) == end, "%s: infinity", name);
    CHECK(std::isnan(from(half(infinity + 1))), "%s: NaN", name);
    for (std::uint32_t low : {1u, 0x1000u, 0x3fffffu, 0x7fffffu}) {
      const auto nan = std::bit_cast<float>(0x7f800000u | low);
      CHECK(std::isnan(from(to(nan))), "%s: NaN of %x", name, low);
    }
  }
}

void test_halves() {
  test_half("bfloat16", 7, -126, half_bits::to_bfloat16, half_bits::from_bfloat16, pack_bfloat16);
  test_half("float16", 10, -14, half_bits::to_float16, half_bits::from_float16, pack_float16);
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  cuda::Stream stream = cuda::create_stream(0);
  test_products(stream);
  test_tf32();
  test_copies(stream);
  test_matrices(stream);
  test_eight(stream);
  test_halves();
  cuda::destroy_stream(stream);
  if (failures == 0) std::printf("cuda_mma: passed\n");
  return failures == 0 ? 0 : 1;
}
