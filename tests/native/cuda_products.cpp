// launch_product on operands that no op hands over yet: any two strides, overlapping rows, batches
// that run backwards or stand still.
#include <cstdio>
#include <vector>

#include "cuda/launch.h"
#include "ops/matmul/product_exact.cu"
#include "ops/matmul/product_forms.cu"
#include "ops/matmul/product_mixed.cu"
#include "ops/matmul/product_mma.cu"
#include "ops/matmul/product_rows.cu"
#include "ops/matmul/product_tf32.cu"
#include "ops/matmul/product_wgmma.cu"

namespace densa::inline DENSA_ISA {
namespace {

int failures = 0;

struct Operand {
  std::ptrdiff_t first, row, col;
  std::vector<std::int64_t> batch;
};

// Whole numbers: every sum is exact, whatever its order and its form.
void check(cuda::Stream stream, const ProductForm* form, std::int64_t m, std::int64_t k,
           std::int64_t n, const std::vector<std::int64_t>& batch, const Operand& a,
           const Operand& w) {
  constexpr std::int64_t kRoom = 60000;
  std::vector<float> numbers(kRoom);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<float>(static_cast<int>(i * 7919 % 17) - 8);
  std::int64_t count = 1;
  for (std::int64_t size : batch) count *= size;
  const auto bytes = static_cast<std::size_t>(count * m * n) * sizeof(float);
  auto* const x = static_cast<float*>(cuda::allocate(0, kRoom * sizeof(float)));
  auto* const y = static_cast<float*>(cuda::allocate(0, bytes));
  cuda::copy(stream, x, numbers.data(), kRoom * sizeof(float), cuda::Direction::kToDevice);

  ProductCall call;
  call.m = m;
  call.n = n;
  call.k = k;
  call.batch = Dims(batch);
  call.a = {x + a.first, a.row, a.col, Dims(a.batch)};
  call.w = {x + w.first, w.row, w.col, Dims(w.batch)};
  call.y = y;
  call.sizes = {m, n, k, count};
  call.stream = stream;
  const TileCut cut = form->cut(call.dtype, call.sizes);
  void* const scratch = cuda::allocate(0, bytes * static_cast<std::size_t>(cut.splits));
  call.scratch = scratch;
  form->launch(call, cut);
  finish(call, cut);
  std::vector<float> out(bytes / sizeof(float));
  cuda::copy(stream, out.data(), y, bytes, cuda::Direction::kToHost);

  for (std::int64_t z = 0, at = 0; z < count; ++z) {
    std::ptrdiff_t from_a = a.first, from_w = w.first;
    std::int64_t rest = z;
    for (std::size_t d = batch.size(); d-- > 0; rest /= batch[d]) {
      from_a += rest % batch[d] * a.batch[d];
      from_w += rest % batch[d] * w.batch[d];
    }
    for (std::int64_t r = 0; r < m; ++r)
      for (std::int64_t c = 0; c < n; ++c, ++at) {
        float want = 0;
        for (std::int64_t i = 0; i < k; ++i)
          want += numbers[static_cast<std::size_t>(from_a + r * a.row + i * a.col)] *
                  numbers[static_cast<std::size_t>(from_w + i * w.row + c * w.col)];
        if (const float got = out[static_cast<std::size_t>(at)]; got != want && ++failures < 9)
          std::printf("%s, (%d, %d, %d), matrix %d at (%d, %d): %g, not %g\n", form->name,
                      static_cast<int>(m), static_cast<int>(k), static_cast<int>(n),
                      static_cast<int>(z), static_cast<int>(r), static_cast<int>(c), double{got},
                      double{want});
      }
  }
  for (void* memory : {static_cast<void*>(x), static_cast<void*>(y), scratch})
    cuda::release(0, memory);
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  cuda::Stream stream = cuda::create_stream(0);
  for (const ProductForm* form : {&kExactProduct, &kTf32x3Product, &kTf32Product}) {
    // Neither stride is 1; rows that overlap; rows backwards.
    check(stream, form, 33, 40, 37, {}, {5, 83, 2}, {1, 3, 125});
    check(stream, form, 33, 40, 37, {}, {0, 1, 1}, {3, 40, 1});
    check(stream, form, 70, 300, 20, {}, {21000, -300, 1}, {8, 1, 300});
    // Aligned and not, in all four layouts, with a start that breaks the alignment.
    for (std::ptrdiff_t first : {0, 4, 1}) {
      check(stream, form, 40, 24, 36, {}, {first, 24, 1}, {first, 36, 1});
      check(stream, form, 40, 24, 36, {}, {first, 1, 40}, {first, 36, 1});
      check(stream, form, 40, 24, 36, {}, {first, 24, 1}, {first, 1, 24});
      check(stream, form, 40, 24, 36, {}, {first, 1, 40}, {first, 1, 24});
    }
    // A batch whose matrices are not aligned though the first one is; one that stands still.
    check(stream, form, 20, 24, 28, {3, 2}, {0, 24, 1, {961, 481}}, {0, 28, 1, {0, 700}});
    check(stream, form, 20, 24, 28, {2, 3}, {4800, 24, 1, {-2400, -480}}, {4, 1, 24, {672, 0}});
  }
  // Few rows: all layouts, a column more than blocks have, one row of several matrices each.
  for (std::int64_t m : {1, 3, 4})
    for (std::int64_t k : {128, 300, 517}) {
      check(stream, &kRowsProduct, m, k, 37, {}, {1, k, 1}, {3, 37, 1});
      check(stream, &kRowsProduct, m, k, 8, {}, {0, 1, m}, {0, 1, k});
      check(stream, &kRowsProduct, m, k, 9, {}, {5, 2 * k + 3, 2}, {1, 3, 1601});
    }
  check(stream, &kRowsProduct, 1, 200, 20, {2, 2}, {900, 7, 1, {-450, 211}}, {0, 20, 1, {0, 0}});
  cuda::destroy_stream(stream);
  if (failures == 0) std::printf("cuda_products: passed\n");
  return failures == 0 ? 0 : 1;
}
