// The kernel of block-sparse weights on every CPU level: the bits of the dense kernel of the level,
// float64 loops, every awkward size, layers and panels without a block. Columns of x that no block
// reads hold NaN, and what may not be written a canary.
#include "ops/dense/sparse.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "kernel_levels.h"
#include "matrices.h"
#include "ops/dense/dense.h"
#include "ops/dense/sparse_weights.h"

DENSA_DECLARE_TABLES(extern const DenseKernels<float> dense_f32;
                     extern const SparseKernels sparse_f32;)

namespace {

using namespace densa;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A matrix in panels whose padding is zero, a multiple of 64 bytes at a multiple of them.
struct Aligned {
  explicit Aligned(std::int64_t n) : store(static_cast<std::size_t>(n) + 16) {}
  float* get() {
    const auto at = reinterpret_cast<std::uintptr_t>(store.data());
    return store.data() + ((at + 63) / 64 * 64 - at) / 4;
  }
  std::vector<float> store;
};

struct Case {
  Case(std::int64_t rows, std::int64_t in, std::int64_t out, double density, bool bias)
      : rows(rows), in(in), out(out), bias(bias), w(panel_count(out) * in * kPanel) {
    std::mt19937 random(static_cast<unsigned>(rows * 10007 + in * 101 + out));
    std::normal_distribution<float> normal;
    std::uniform_real_distribution<double> even;
    used.resize(static_cast<std::size_t>(in));
    for (std::int64_t p = 0; p < panel_count(out); ++p)
      for (std::int64_t k = 0; k < in; ++k) {
        if (even(random) >= density) continue;
        used[static_cast<std::size_t>(k)] = true;
        for (std::int64_t c = 0; c < kPanel && p * kPanel + c < out; ++c)
          if (c == 0 || even(random) < 0.5)  // zeros inside of blocks, too
            w.get()[(p * in + k) * kPanel + c] = normal(random);
      }
    for (std::int64_t i = 0; i < rows * in; ++i) x.push_back(normal(random));
    b.resize(static_cast<std::size_t>(padded(out)));
    for (std::int64_t n = 0; n < out; ++n) b[static_cast<std::size_t>(n)] = normal(random);
  }
  Panels<const float> weights() { return {w.get(), in * kPanel}; }
  std::int64_t rows, in, out;
  bool bias;
  Aligned w;
  std::vector<float> x, b;
  std::vector<bool> used;  // whether a block has the column of x
};

// Calls forward(x, y, first panel, last panel) for all panels at once and one by one.
using Forward = std::function<void(Panels<const float>, Panels<float>, std::int64_t, std::int64_t)>;
std::vector<float> computed(const Case& c, const char* name, const Forward& forward) {
  std::vector<float> found[2];
  const std::int64_t panels = panel_count(c.out), spare = 2;
  for (bool piece : {false, true}) {
    // One row alone lies in memory as it is, and ends where it ends.
    const std::int64_t stride = (c.rows + (c.rows == 1 ? 0 : spare)) * kPanel;
    Exact<float> x = filled<float>(c.rows == 1 ? c.in : panel_count(c.in) * stride, kNaN);
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t k = 0; k < c.in; ++k)
        x[k / kPanel * stride + r * kPanel + k % kPanel] =
            c.x[static_cast<std::size_t>(r * c.in + k)];
    Exact<float> y = filled<float>(panels * (c.rows + spare) * kPanel, Matrix<float>::kGarbage);
    const Panels<float> to{y.get(), (c.rows + spare) * kPanel};
    for (std::int64_t p = 0; p < panels; p += piece ? 1 : panels)
      forward({x.get(), stride}, to, p, piece ? p + 1 : panels);
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t n = 0; n < c.out; ++n)
        found[piece].push_back(to.panel(n / kPanel)[r * kPanel + n % kPanel]);
    for (std::int64_t p = 0; p < panels; ++p)
      for (std::int64_t i = c.rows * kPanel; i < to.stride; ++i)
        CHECK(Matrix<float>::garbage(to.panel(p)[i]), "%s spare rows of y", name);
  }
  CHECK(found[0].empty() ||
            std::memcmp(found[0].data(), found[1].data(), found[0].size() * sizeof(float)) == 0,
        "%s panel by panel %ld %ld %ld", name, long(c.rows), long(c.in), long(c.out));
  return found[0];
}

std::vector<float> sparse(const SparseKernels& kernels, Case& c) {
  const std::int64_t blocks = sparse_blocks(c.weights(), c.in, c.out);
  const SparseParts parts = sparse_parts(blocks, c.out);
  Aligned packed(parts.bytes / 4);
  auto* const bytes = reinterpret_cast<std::byte*>(packed.get());
  sparse_pack(bytes, c.weights(), c.in, c.out);
  const SparseIndex index = sparse_index(bytes, blocks, c.in, c.out);
  return computed(c, "sparse", [&](auto x, auto y, std::int64_t first, std::int64_t last) {
    kernels.forward({.x = x,
                     .w = packed.get(),
                     .starts = index.starts.data(),
                     .index = index.index.data(),
                     .b = c.bias ? c.b.data() : nullptr,
                     .y = y,
                     .rows = c.rows,
                     .first_panel = first,
                     .last_panel = last});
  });
}

std::vector<float> dense(const DenseKernels<float>& kernels, Case& c) {
  return computed(c, "dense", [&](auto x, auto y, std::int64_t first, std::int64_t last) {
    kernels.forward({.x = x,
                     .w = c.weights(),
                     .b = c.bias ? c.b.data() : nullptr,
                     .y = y,
                     .in = c.in,
                     .row_begin = 0,
                     .row_end = c.rows,
                     .first_panel = first,
                     .last_panel = last});
  });
}

// Each of in + 1 additions rounds by at most 2^-23 (a product and a sum where none is fused) of the
// sum of all sizes.
void check_sums(const char* level, Case& c, const std::vector<float>& y) {
  for (std::int64_t r = 0; r < c.rows; ++r)
    for (std::int64_t n = 0; n < c.out; ++n) {
      double sum = c.bias ? c.b[static_cast<std::size_t>(n)] : 0, sizes = std::fabs(sum);
      for (std::int64_t k = 0; k < c.in; ++k) {
        const double product =
            static_cast<double>(c.x[static_cast<std::size_t>(r * c.in + k)]) *
            static_cast<double>(c.weights().panel(n / kPanel)[k * kPanel + n % kPanel]);
        sum += product;
        sizes += std::fabs(product);
      }
      const float got = y[static_cast<std::size_t>(r * c.out + n)];
      CHECK(std::fabs(static_cast<double>(got) - sum) <=
                0x1p-23 * static_cast<double>(c.in + 1) * sizes,
            "%s %ld %ld %ld: y[%ld][%ld] = %g, not %g", level, long(c.rows), long(c.in),
            long(c.out), long(r), long(n), static_cast<double>(got), sum);
    }
}

void check_case(const char* level, const DenseKernels<float>& denses, const SparseKernels& sparses,
                Case c) {
  const std::vector<float> y = sparse(sparses, c), wanted = dense(denses, c);
  CHECK(y.empty() || std::memcmp(y.data(), wanted.data(), y.size() * sizeof(float)) == 0,
        "%s %ld %ld %ld: not the dense product's bits", level, long(c.rows), long(c.in),
        long(c.out));
  check_sums(level, c, y);
  for (std::int64_t r = 0; r < c.rows; ++r)
    for (std::int64_t k = 0; k < c.in; ++k)
      if (!c.used[static_cast<std::size_t>(k)]) c.x[static_cast<std::size_t>(r * c.in + k)] = kNaN;
  const std::vector<float> unread = sparse(sparses, c);
  CHECK(y.empty() || std::memcmp(y.data(), unread.data(), y.size() * sizeof(float)) == 0,
        "%s %ld %ld %ld: reads columns without a block", level, long(c.rows), long(c.in),
        long(c.out));
}

void check_level(const char* level, const DenseKernels<float>& denses,
                 const SparseKernels& sparses) {
  for (std::int64_t in : {0, 1, 2, 15, 16, 17, 33, 70})
    for (std::int64_t out : {1, 15, 16, 17, 33, 64, 65, 100, 129})
      for (std::int64_t rows : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 15, 16, 17, 33, 65})
        for (double density : {0.0, 0.1, 0.5, 1.0})
          check_case(level, denses, sparses, {rows, in, out, density, (rows + in) % 2 == 0});
}

void check_index() {
  const std::int64_t in = 5, out = 33;
  Case c(1, in, out, 0.6, true);
  for (std::int64_t k = 0; k < in; ++k)  // the second panel is empty
    for (std::int64_t n = 0; n < kPanel; ++n) c.w.get()[(in + k) * kPanel + n] = n == 3 ? -0.0F : 0;
  c.w.get()[0] = kNaN;
  const std::int64_t blocks = sparse_blocks(c.weights(), in, out);
  const SparseParts parts = sparse_parts(blocks, out);
  Aligned packed(parts.bytes / 4);
  auto* const bytes = reinterpret_cast<std::byte*>(packed.get());
  sparse_pack(bytes, c.weights(), in, out);
  const SparseIndex index = sparse_index(bytes, blocks, in, out);
  CHECK(index.starts.size() == 4 && index.index.size() == static_cast<std::size_t>(blocks),
        "sizes");
  CHECK(index.starts[1] == index.starts[2], "an empty panel");
  CHECK(std::isnan(packed.get()[0]), "a block of NaN stays");

  const auto refused = [&](const char* what, std::int64_t at, std::uint32_t number) {
    std::vector<std::byte> changed(bytes, bytes + parts.bytes);
    std::memcpy(changed.data() + at, &number, sizeof number);
    bool threw = false;
    try {
      sparse_index(changed.data(), blocks, in, out);
    } catch (const ValueError&) {
      threw = true;
    }
    CHECK(threw, "%s", what);
  };
  refused("a row out of range", parts.index, 5);
  refused("a row far out of range", parts.index + (blocks - 1) * 4, 0xFFFFFFFF);
  refused("a row twice", parts.index + 4, index.index[0]);
  refused("a start that is not 0", parts.starts, 1);
  refused("an end that is not the number", parts.starts + 12, 1);
  refused("a start beyond the end", parts.starts + 4, 0xFFFFFFFF);
  refused("starts that descend", parts.starts + 8, 0);
}

}  // namespace

int main() {
  check_index();
#define DENSA_CHECK_LEVEL(level) \
  check_level(#level, densa::level::dense_f32, densa::level::sparse_f32)
  DENSA_EACH_LEVEL(DENSA_CHECK_LEVEL)
  if (failures > 0) std::printf("%d failures\n", failures);
  return failures > 0;
}
