// The words of cuda/warpgroup.h in the emulation: products of a warpgroup in every layout against
// plain loops, and planted faults - waits that are left out or wrong, operands that lie elsewhere -
// each of which must show in every order of the threads.
#include "cuda/warpgroup.h"

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/half.h"
#include "check.h"
#include "cuda/launch.h"
#include "cuda_device.h"

namespace densa::inline DENSA_ISA {
namespace {

enum Plant {
  kNone,
  kNoReady,         // nobody publishes the barriers
  kNoSync,          // nor waits until they are made
  kNoWaitForCopy,   // operands are read as they are
  kWrongParity,     // so the wait is for the phase before
  kOneLaneWaits,    // the other threads do not
  kNoWaitForRoom,   // the next copy does not care who still reads
  kRoomTooEarly,    // is given back while products read it
  kTooFewBytes,     // the barrier goes on before all is there
  kTooManyBytes,    // or never
  kTooManyArrive,   // at a barrier
  kNoBegin,         // before the first product
  kNoEndGroup,      // so that nothing is waited for
  kNoWaitForSum,    // it is used while it is under way
  kOneGroupTooFew,  // is waited for
  kTouched,         // the sum, between two products
  kWarpAlone,       // one warp multiplies something else
  kNoSwizzle,       // the operand says that its chunks lie in order
  kWrongAtomStep,   // eight rows further
  kWrongBoxStep,    // 64 outer further
  kWrongKStep,      // 16 k further
  kUncopied,        // a box that nobody copies is read
  kOddAddress,      // a box is copied into the middle of another
  kPastEnd,         // of tile memory
  kPlants
};

struct Sizes {
  int m, n, k;
};

// y (m, n) = a * w with 64 k at a time in two stages: warp 8 copies, two warpgroups multiply. The
// matrices are those of number 1 in their stacks.
template <bool kBFloat16, int kN, bool kATransposed, bool kWTransposed>
__global__ void product(const __grid_constant__ cuda::TensorMap a,
                        const __grid_constant__ cuda::TensorMap w, Sizes sizes, Global<float> y,
                        int plant) {
  constexpr int kStages = 2, kConsumers = 2 * kWarpgroup;
  constexpr std::uint32_t kBytesA = 2 * cuda::kBoxBytes,
                          kBytes = kBytesA + kN / 64 * cuda::kBoxBytes;
  __shared__ Barriers<kStages> full, empty;
  const int t = static_cast<int>(threadIdx.x), lane = t % kWarp;
  const int rounds = (sizes.k + 63) / 64;
  const std::uint32_t tiles = tile_memory();
  if (t == 0) {
    for (int i = 0; i < kStages; ++i) {
      full.init(i, 1);
      empty.init(i, plant == kTooManyArrive ? 7 : 8);
    }
    if (plant != kNoReady) barriers_ready();
  }
  if (plant != kNoSync) __syncthreads();

  if (t >= kConsumers) {
    if (lane != 0) return;
    for (int round = 0; round < rounds; ++round) {
      const int stage = round % kStages;
      const auto turn = static_cast<std::uint32_t>(round / kStages % 2);
      std::uint32_t to = tiles + static_cast<std::uint32_t>(stage) * kBytes;
      if (plant == kOddAddress) to += 512;
      if (plant == kPastEnd) to += kBytes;
      if (plant != kNoWaitForRoom) empty.wait(stage, turn ^ 1);
      const bool fewer = plant == kTooFewBytes || plant == kUncopied;
      full.expect(stage,
                  kBytes - (fewer ? cuda::kBoxBytes : 0) + (plant == kTooManyBytes ? 16 : 0));
      for (int outer = 0; outer < 128; outer += 64, to += cuda::kBoxBytes)
        copy_box(a, kATransposed ? outer : 64 * round, kATransposed ? 64 * round : outer, 1, to,
                 full, stage);
      for (int outer = 0; outer < (plant == kUncopied ? kN - 64 : kN);
           outer += 64, to += cuda::kBoxBytes)
        copy_box(w, kWTransposed ? outer : 64 * round, kWTransposed ? 64 * round : outer, 1, to,
                 full, stage);
    }
    return;
  }

  const int group = t / kWarpgroup, warp = t / kWarp;
  float sum[kN / 8][4];
  for (auto& four : sum)
    for (float& one : four) one = 0.5f;
  for (int round = 0; round < rounds; ++round) {
    const int stage = round % kStages;
    const auto turn = static_cast<std::uint32_t>(round / kStages % 2);
    const std::uint32_t from = tiles + static_cast<std::uint32_t>(stage) * kBytes;
    if (plant != kNoWaitForCopy && !(plant == kOneLaneWaits && lane != 5))
      full.wait(stage, plant == kWrongParity ? turn ^ 1 : turn);
    if (plant != kNoBegin) warpgroup_begin();
    for (std::uint64_t k = 0; k < 4; ++k) {
      const bool across = kWTransposed != (plant == kWrongKStep);
      const std::uint64_t a_operand =
          operand_at(from + static_cast<std::uint32_t>(group) * cuda::kBoxBytes) +
          k * (kATransposed ? kStepAcrossK : kStepAlongK);
      std::uint64_t w_operand =
          operand_at(from + kBytesA) + k * (across ? kStepAcrossK : kStepAlongK);
      if (plant == kNoSwizzle) w_operand &= ~(std::uint64_t{3} << 62);
      if (plant == kWrongAtomStep) w_operand ^= std::uint64_t{64 ^ 128} << 32;
      if (plant == kWrongBoxStep) w_operand ^= std::uint64_t{512 ^ 256} << 16;
      if (plant == kWarpAlone && warp == 2) w_operand += 2;
      warpgroup_multiply<kBFloat16, kN, kATransposed, kWTransposed>(sum, a_operand, w_operand);
      if (plant == kTouched && t == 77) sum[3][1] = 1;
    }
    if (plant != kNoEndGroup) warpgroup_end_group();
    if (plant == kRoomTooEarly && lane == 0) empty.arrive(stage);
    warpgroup_wait<1>(sum);
    if (plant != kRoomTooEarly && round > 0 && lane == 0) empty.arrive((round - 1) % kStages);
  }
  if (plant == kOneGroupTooFew) {
    warpgroup_wait<1>(sum);
  } else if (plant != kNoWaitForSum) {
    warpgroup_wait<0>(sum);
  }
  const int row = group * 64 + warp % 4 * 16 + lane / 4;
  for (int j = 0; j < kN / 8; ++j)
    for (int c = 0; c < 4; ++c) {
      const int r = row + c / 2 * 8, col = 8 * j + lane % 4 * 2 + c % 2;
      if (r < sizes.m && col < sizes.n) y[r * sizes.n + col] = sum[j][c];
    }
}

std::uint32_t state = 1;
float random_number() {  // exact in both formats, with exact sums
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(static_cast<int>(state >> 16) % 33 - 16) / 2;
}

std::size_t place(int row, int cols, int col) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(cols) +
         static_cast<std::size_t>(col);
}

struct Matrix {  // (outer, k), of which a stack of two others lies around it
  std::vector<float> numbers;
  std::vector<std::uint16_t> halves;
  cuda::MatrixStack stack;
};
Matrix matrix(int outer, int k, bool transposed, bool bfloat16) {
  Matrix out;
  const int near = transposed ? outer : k, far = transposed ? k : outer;
  out.stack = {nullptr, near, far, 3, (near + 7) / 8 * 8, (near + 7) / 8 * 8 * (far + 1)};
  out.numbers.resize(place(outer, k, 0));
  out.halves.resize(static_cast<std::size_t>(3 * out.stack.step), 0xffff);
  for (int o = 0; o < outer; ++o)
    for (int i = 0; i < k; ++i) {
      const float x = out.numbers[place(o, k, i)] = random_number();
      const int n = transposed ? o : i, f = transposed ? i : o;
      out.halves[static_cast<std::size_t>(out.stack.step + f * out.stack.pitch + n)] =
          bfloat16 ? half_bits::to_bfloat16(x) : half_bits::to_float16(x);
    }
  return out;
}

// What is wrong: an error, or the first result that is.
template <bool kBFloat16, int kN, bool kATransposed, bool kWTransposed>
std::string run(cuda::Stream stream, Sizes sizes, int plant) {
  Matrix a = matrix(sizes.m, sizes.k, kATransposed, kBFloat16);
  Matrix w = matrix(sizes.n, sizes.k, kWTransposed, kBFloat16);
  const Device<std::uint16_t> on_a(a.halves, stream), on_w(w.halves, stream);
  a.stack.data = on_a.get();
  w.stack.data = on_w.get();
  const Device<float> y(std::vector<float>(place(sizes.m, sizes.n, 0)), stream);
  const std::size_t bytes = 2 * (2 + kN / 64) * cuda::kBoxBytes + kTileSlack;
  try {
    cuda::launch(stream, {{1}, {288}, bytes}, product<kBFloat16, kN, kATransposed, kWTransposed>,
                 cuda::tensor_map(a.stack), cuda::tensor_map(w.stack), sizes, y.get(), plant);
    const std::vector<float> out = y.host(stream);
    for (int r = 0; r < sizes.m; ++r)
      for (int c = 0; c < sizes.n; ++c) {
        float want = 0.5f;
        for (int k = 0; k < sizes.k; ++k)
          want += a.numbers[place(r, sizes.k, k)] * w.numbers[place(c, sizes.k, k)];
        const float got = out[place(r, sizes.n, c)];
        if (!(got == want))
          return "(" + std::to_string(r) + ", " + std::to_string(c) + ") is " +
                 std::to_string(got) + ", not " + std::to_string(want);
      }
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

template <bool kBFloat16, int kN>
void test_layouts(cuda::Stream stream) {
  for (const Sizes sizes : {Sizes{128, kN, 64}, Sizes{100, kN - 9, 150}, Sizes{65, 1, 321},
                            Sizes{1, kN, 1}, Sizes{128, 65, 640}}) {
    const std::pair<const char*, std::string> found[] = {
        {"nt", run<kBFloat16, kN, false, false>(stream, sizes, kNone)},
        {"nn", run<kBFloat16, kN, false, true>(stream, sizes, kNone)},
        {"tt", run<kBFloat16, kN, true, false>(stream, sizes, kNone)},
        {"tn", run<kBFloat16, kN, true, true>(stream, sizes, kNone)}};
    for (const auto& [layout, error] : found)
      CHECK(error.empty(), "%s, n %d, %s, (%d, %d, %d): %s", kBFloat16 ? "bfloat16" : "half", kN,
            layout, sizes.m, sizes.k, sizes.n, error.c_str());
  }
}

void test_plants(cuda::Stream stream) {
  for (std::uint64_t order : {0, 1, 2, 3}) {
    emulation::set_order(order);
    for (int plant = kNone; plant < kPlants; ++plant) {
      const std::string errors[] = {run<true, 128, false, false>(stream, {128, 128, 640}, plant),
                                    run<true, 128, true, true>(stream, {128, 128, 640}, plant)};
      for (const std::string& error : errors) {
        // Along k a box is as wide as the step, so nothing is in the next one.
        const bool harmless = plant == kNone || (plant == kWrongBoxStep && &error == errors);
        CHECK(error.empty() == harmless, "plant %d, order %d: '%s'", plant, static_cast<int>(order),
              error.c_str());
      }
    }
  }
  emulation::set_order(0);
}

void test_maps(cuda::Stream stream) {
  const Device<std::uint16_t> memory(std::vector<std::uint16_t>(4096), stream);
  const cuda::MatrixStack good{memory.get(), 60, 10, 2, 64, 640};
  const auto refused = [](const cuda::MatrixStack& stack) {
    try {
      (void)cuda::tensor_map(stack);
    } catch (const std::runtime_error&) {
      return true;
    }
    return false;
  };
  CHECK(!refused(good), "a good map");
  const auto with = [&](auto change) {
    cuda::MatrixStack bad = good;
    change(bad);
    return bad;
  };
  using Stack = cuda::MatrixStack;
  CHECK(refused(with([&](Stack& s) { s.data = memory.get() + 1; })), "an odd address");
  CHECK(refused(with([](Stack& s) { s.pitch = 60; })), "an odd pitch");
  CHECK(refused(with([](Stack& s) { s.pitch = 56; })), "a pitch below the row");
  CHECK(refused(with([](Stack& s) { s.step = 644; })), "an odd step");
  CHECK(refused(with([](Stack& s) { s.far = 0; })), "no rows");
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  cuda::Stream stream = cuda::create_stream(0);
  test_layouts<true, 128>(stream);
  test_layouts<true, 256>(stream);
  test_layouts<false, 128>(stream);
  test_layouts<false, 256>(stream);
  test_plants(stream);
  test_maps(stream);
  cuda::destroy_stream(stream);
  if (failures == 0) std::printf("cuda_warpgroup: passed\n");
  return failures == 0 ? 0 : 1;
}
