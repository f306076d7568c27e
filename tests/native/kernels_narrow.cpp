// The kernels of bfloat16 and int8 weights on every CPU level against plain loops in float64 and
// whole numbers: every awkward size, rows that are not finite, constant and extreme rows. int8
// results are exact, so every level must give the reference's bits. What may not be read holds NaN,
// what may not be written a canary.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#define DENSA_OWN_V4X
#include "kernel_levels.h"
#include "ops/dense/narrow.h"

DENSA_DECLARE_TABLES(extern const NarrowKernels bfloat16_kernels;
                     extern const NarrowKernels int8_kernels;)

namespace {

using namespace densa;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kCanary = -77;

// Aligned bytes with a canary behind them.
struct Bytes {
  explicit Bytes(std::int64_t n) : size(n), store(static_cast<std::size_t>(n) + 128, 0x5a) {}
  std::byte* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(store.data());
    return reinterpret_cast<std::byte*>((at + 63) / 64 * 64);
  }
  bool intact() {
    return std::all_of(reinterpret_cast<unsigned char*>(data()) + size, store.data() + store.size(),
                       [](unsigned char b) { return b == 0x5a; });
  }
  std::int64_t size;
  std::vector<unsigned char> store;
};

struct Case {
  std::int64_t rows, in, out;
  std::vector<float> x, w, b;  // row-major; b may be empty
  float scale = 0;             // int8, given
  std::int32_t zero = 0;
};

Case random_case(std::int64_t rows, std::int64_t in, std::int64_t out, bool bias) {
  std::mt19937 random(static_cast<unsigned>(rows * 10007 + in * 101 + out));
  std::normal_distribution<float> normal(0.2f, 1);
  Case c{rows, in, out, {}, {}, {}};
  for (std::int64_t i = 0; i < rows * in; ++i) c.x.push_back(normal(random));
  for (std::int64_t i = 0; i < in * out; ++i) c.w.push_back(normal(random));
  for (std::int64_t n = 0; bias && n < out; ++n) c.b.push_back(normal(random));
  return c;
}

// A row-major matrix in panels of exact rows whose padding is `padding`.
Bytes in_panels(const std::vector<float>& from, std::int64_t rows, std::int64_t cols,
                float padding) {
  Bytes to(padded(cols) * rows * 4);
  auto* const data = reinterpret_cast<float*>(to.data());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < padded(cols); ++c)
      data[(c / kPanel * rows + r) * kPanel + c % kPanel] =
          c < cols ? from[static_cast<std::size_t>(r * cols + c)] : padding;
  return to;
}

// y from the kernels, all panels at once and then one by one: the bits may not change.
std::vector<float> computed(const NarrowKernels& kernels, Narrow form, const Case& c) {
  const char* const name = form == Narrow::kInt8 ? "int8" : "bfloat16";
  Bytes x = in_panels(c.x, c.rows, c.in, kNaN), w = in_panels(c.w, c.in, c.out, 0);
  const NarrowWeights parts = narrow_weights(form, c.in, c.out);
  Bytes packed(parts.bytes), prepared(narrow_x_bytes(form, c.in) * c.rows);
  narrow_pack(form, packed.data(), {reinterpret_cast<float*>(w.data()), c.in * kPanel}, c.in,
              c.out);
  CHECK(packed.intact(), "%s weights %ld %ld", name, long(c.in), long(c.out));
  kernels.prepare({{reinterpret_cast<const float*>(x.data()), c.rows * kPanel},
                   prepared.data(),
                   c.in,
                   c.rows,
                   c.scale,
                   c.zero});
  CHECK(prepared.intact(), "%s x %ld %ld", name, long(c.rows), long(c.in));
  std::vector<float> b(static_cast<std::size_t>(padded(c.out)), 0);
  std::copy(c.b.begin(), c.b.end(), b.begin());

  const std::int64_t panels = panel_count(c.out), stride = (c.rows + 2) * kPanel;
  std::vector<float> out[2];
  for (int piece = 0; piece < 2; ++piece) {
    Bytes y(panels * stride * 4);
    auto* const data = reinterpret_cast<float*>(y.data());
    std::fill_n(data, panels * stride, kCanary);
    NarrowForward call;
    call.x = prepared.data();
    call.w = packed.data();
    if (form == Narrow::kInt8) {
      call.scale = reinterpret_cast<const float*>(packed.data() + parts.scale);
      call.sum = reinterpret_cast<const std::int32_t*>(packed.data() + parts.sum);
    }
    call.b = c.b.empty() ? nullptr : b.data();
    call.y = {data, stride};
    call.in = c.in;
    call.rows = c.rows;
    for (std::int64_t p = 0; p < panels; p += piece == 0 ? panels : 1) {
      call.first_panel = p;
      call.last_panel = piece == 0 ? panels : p + 1;
      kernels.forward(call);
    }
    CHECK(y.intact(), "%s y %ld %ld %ld", name, long(c.rows), long(c.in), long(c.out));
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t n = 0; n < c.out; ++n)
        out[piece].push_back(data[n / kPanel * stride + r * kPanel + n % kPanel]);
    for (std::int64_t p = 0; p < panels; ++p)
      for (std::int64_t i = c.rows * kPanel; i < stride; ++i)
        CHECK(data[p * stride + i] == kCanary, "%s spare rows of y", name);
  }
  CHECK(out[0].empty() || std::memcmp(out[0].data(), out[1].data(), out[0].size() * 4) == 0,
        "%s panel by panel %ld %ld %ld", name, long(c.rows), long(c.in), long(c.out));
  return out[0];
}

bool close(float got, double want, double bound) {
  return std::isnan(want)   ? std::isnan(got)
         : std::isinf(want) ? static_cast<double>(got) == want
                            : std::fabs(static_cast<double>(got) - want) <= bound;
}

// Each of in + 2 additions rounds by at most 2^-23 (a product and a sum where none is fused) of the
// sum of all sizes.
void check_bfloat16(const char* level, const NarrowKernels& kernels, const Case& c) {
  const std::vector<float> y = computed(kernels, Narrow::kBFloat16, c);
  for (std::int64_t r = 0; r < c.rows; ++r)
    for (std::int64_t n = 0; n < c.out; ++n) {
      double sum = c.b.empty() ? 0 : c.b[n], sizes = std::fabs(sum);
      for (std::int64_t k = 0; k < c.in; ++k) {
        const double product = static_cast<double>(float(bfloat16(c.x[r * c.in + k]))) *
                               static_cast<double>(float(bfloat16(c.w[k * c.out + n])));
        sum += product;
        sizes += std::fabs(product);
      }
      const double bound = 0x1p-23 * static_cast<double>(c.in + 2) * sizes;
      const float got = y[static_cast<std::size_t>(r * c.out + n)];
      CHECK(close(got, sum, bound), "%s bfloat16 %ld %ld %ld: y[%ld][%ld] = %g, not %g", level,
            long(c.rows), long(c.in), long(c.out), long(r), long(n), double(got), sum);
    }
}

void check_int8(const char* level, const NarrowKernels& kernels, const Case& c) {
  const std::vector<float> y = computed(kernels, Narrow::kInt8, c);
  std::vector<std::int64_t> q(c.w.size());
  std::vector<float> scales;
  for (std::int64_t n = 0; n < c.out; ++n) {
    float most = 0;
    for (std::int64_t k = 0; k < c.in; ++k) most = std::max(most, std::fabs(c.w[k * c.out + n]));
    scales.push_back(static_cast<float>(static_cast<double>(most) / 127));
    for (std::int64_t k = 0; k < c.in && most > 0; ++k)
      q[k * c.out + n] = std::llrint(c.w[k * c.out + n] / (static_cast<double>(most) / 127));
  }
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const float* x = c.x.data() + r * c.in;
    float low = 0, high = 0;
    bool finite = true;
    for (std::int64_t k = 0; k < c.in; ++k) {
      finite = finite && std::isfinite(x[k]);
      low = std::min(low, x[k]), high = std::max(high, x[k]);
    }
    volatile float part = high * (1.0f / 255);
    volatile float other = low * (1.0f / 255);
    float s = c.scale > 0 ? c.scale : part - other;
    const bool zeros = !(s >= 1e-30f);
    const float inverse = zeros ? 0 : 1 / s;
    const int zero = c.scale > 0 || !finite
                         ? c.zero
                         : static_cast<int>(std::clamp(std::nearbyint(-low * inverse), 0.f, 255.f));
    if (zeros) s = 0;
    for (std::int64_t n = 0; n < c.out; ++n) {
      std::int64_t sum = 0;
      for (std::int64_t k = 0; finite && k < c.in; ++k) {
        const float u = std::nearbyint(x[k] * inverse) + static_cast<float>(zero);
        sum += (std::llrint(std::clamp(u, 0.f, 255.f)) - zero) * q[k * c.out + n];
      }
      volatile float product = s * scales[n];
      product = static_cast<float>(sum) * product;
      const float want = finite ? product + (c.b.empty() ? 0.0f : c.b[n]) : kNaN;
      const float got = y[static_cast<std::size_t>(r * c.out + n)];
      CHECK(finite ? got == want : std::isnan(got),
            "%s int8 %ld %ld %ld: y[%ld][%ld] = %.9g, not %.9g", level, long(c.rows), long(c.in),
            long(c.out), long(r), long(n), double(got), double(want));
    }
  }
}

void check_level(const char* level, const NarrowKernels& bfloat16s, const NarrowKernels& int8s) {
  const auto both = [&](const Case& c) {
    check_bfloat16(level, bfloat16s, c);
    check_int8(level, int8s, c);
  };
  for (std::int64_t in : {1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130})
    for (std::int64_t out : {1, 15, 16, 17, 33, 48, 100, 129})
      for (std::int64_t rows : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 33})
        both(random_case(rows, in, out, (rows + in) % 2 == 0));
  both(random_case(2, 0, 17, true));

  // Rows that are special, in the midst of others.
  for (std::int64_t in : {5, 16, 70}) {
    Case c = random_case(12, in, 19, true);
    const auto row = [&](std::int64_t r) { return c.x.data() + r * in; };
    row(0)[in - 1] = kNaN;
    row(2)[0] = kInfinity;
    row(3)[in / 2] = -kInfinity;
    row(3)[0] = kInfinity;
    std::fill_n(row(4), in, 0.0f);
    std::fill_n(row(5), in, 3.5f);
    std::fill_n(row(6), in, -3.5f);
    std::fill_n(row(7), in, -0.0f);
    std::fill_n(row(11), in, 1 + 0x1p-8f);  // halfway between two bfloat16
    for (std::int64_t k = 0; k < in; ++k) {
      row(8)[k] = k % 2 == 0 ? 1e30f : -3e29f;
      row(9)[k] *= 1e-25f;
      row(10)[k] = std::fabs(row(10)[k]);
    }
    for (std::int64_t k = 0; k < in; ++k) c.w[k * 19 + 3] = 0, c.w[k * 19 + 4] = 1e-20f;
    both(c);
    for (std::int64_t k = 0; k < in; ++k) {  // too wide for floats, and too small to matter
      row(8)[k] = k % 2 == 0 ? FLT_MAX : -FLT_MAX;
      row(9)[k] = 1e-29f;
      for (std::int64_t n = 0; n < 19; ++n) c.w[k * 19 + n] *= 1e-4f;
    }
    check_int8(level, int8s, c);
    c.scale = 0.02f;  // given: what lies outside of the range is limited
    for (std::int32_t zero : {0, 90, 255}) {
      c.zero = zero;
      check_int8(level, int8s, c);
    }
  }

  // The largest sums: every product is 255 * 127.
  Case c{3, kMostInt8In, 2, {}, {}, {}};
  for (std::int64_t i = 0; i < c.rows * c.in; ++i) c.x.push_back(i < c.in ? -1.0f : 1.0f);
  for (std::int64_t i = 0; i < c.in * c.out; ++i) c.w.push_back(i % 2 == 0 ? 0.5f : -0.5f);
  check_int8(level, int8s, c);
}

void check_refusals() {
  std::vector<std::byte> to(1 << 20);
  std::vector<float> w(16 * 3, 1);
  w[17] = kInfinity;
  bool refused = false;
  try {
    narrow_pack(Narrow::kInt8, to.data(), {w.data(), 48}, 3, 2);
  } catch (const ValueError&) {
    refused = true;
  }
  CHECK(refused, "weights that are not finite");
  refused = false;
  try {
    narrow_pack(Narrow::kInt8, to.data(), {w.data(), 48}, kMostInt8In + 1, 0);
  } catch (const ValueError&) {
    refused = true;
  }
  CHECK(refused, "too many rows");
}

}  // namespace

int main() {
  check_refusals();
#define DENSA_CHECK_LEVEL(level) \
  check_level(#level, densa::level::bfloat16_kernels, densa::level::int8_kernels)
  DENSA_EACH_LEVEL(DENSA_CHECK_LEVEL)
  if (failures > 0) std::printf("%d failures\n", failures);
  return failures > 0;
}
