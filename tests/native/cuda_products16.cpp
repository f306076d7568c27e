// Products whose numbers have 16 bits, in every form: formats, awkward sizes, layouts, bias,
// activation and splits against float64 products of the rounded operands; and the same bits
// whatever the alignment, the layout, the run and the order of the threads.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/emulation/streams.h"
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

constexpr NumberFormat kFull = NumberFormat::kFull, kBf16 = NumberFormat::kBFloat16,
                       kF16 = NumberFormat::kFloat16;
const char* name_of(NumberFormat format) {
  return format == kFull ? "float32" : format == kBf16 ? "bfloat16" : "float16";
}

std::uint32_t state = 7;
std::uint32_t random_bits() {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}
float random_number() { return static_cast<float>(random_bits() % 4001) / 1000.0f - 2; }

float round_to(NumberFormat format, float x) {
  return format == kFull ? x : from_half(format, to_half(format, x));
}

// A stack of matrices of `format` on the GPU, whose element (z, r, c) lies at
// first + z * matrix + r * row + c * col.
struct Layout {
  std::ptrdiff_t first, row, col, matrix;
};
class Matrices {
 public:
  Matrices(cuda::Stream stream, const std::vector<float>& numbers, std::int64_t count,
           std::int64_t rows, std::int64_t cols, NumberFormat format, const Layout& layout)
      : layout_(layout), format_(format) {
    const std::int64_t size =
        layout.first +
        std::max<std::int64_t>(count == 0 || rows == 0 || cols == 0
                                   ? 0
                                   : (count - 1) * layout.matrix + (rows - 1) * layout.row +
                                         (cols - 1) * layout.col + 1,
                               1);
    const std::size_t item = bytes_of(format);
    std::vector<unsigned char> host(static_cast<std::size_t>(size) * item, 0xff);
    std::size_t from = 0;
    for (std::int64_t z = 0; z < count; ++z)
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < cols; ++c) {
          const float x = numbers[from++];
          const std::uint16_t half = format == kFull ? std::uint16_t{} : to_half(format, x);
          std::memcpy(host.data() + static_cast<std::size_t>(layout.first + z * layout.matrix +
                                                             r * layout.row + c * layout.col) *
                                        item,
                      format == kFull ? static_cast<const void*>(&x) : &half, item);
        }
    memory_ = cuda::allocate(0, host.size());
    cuda::copy(stream, memory_, host.data(), host.size(), cuda::Direction::kToDevice);
  }
  Matrices(const Matrices&) = delete;
  ~Matrices() { cuda::release(0, memory_); }
  ProductOperand operand(bool batched) const {
    ProductOperand out{static_cast<const char*>(memory_) +
                           static_cast<std::size_t>(layout_.first) * bytes_of(format_),
                       layout_.row,
                       layout_.col,
                       {},
                       format_};
    if (batched) out.batch_strides = Dims{layout_.matrix};
    return out;
  }

 private:
  Layout layout_;
  NumberFormat format_;
  void* memory_;
};

enum Shape : int { kRowMajor, kTransposed, kPadded, kPaddedTransposed, kStrided, kShapes };
// Padded: rows begin at multiples of 16 bytes. `shift` elements before the first one.
Layout layout_of(int shape, std::int64_t rows, std::int64_t cols, std::ptrdiff_t shift) {
  const auto up = [](std::int64_t n) { return (n + 7) / 8 * 8; };
  switch (shape) {
    case kRowMajor: return {shift, cols, 1, rows * cols};
    case kTransposed: return {shift, 1, rows, rows * cols};
    case kPadded: return {shift, up(cols), 1, rows * up(cols)};
    case kPaddedTransposed: return {shift, 1, up(rows), cols * up(rows)};
    default: return {shift, 3 * cols, 3, 3 * rows * cols};
  }
}

struct Case {
  std::int64_t count, m, n, k;
  NumberFormat a, w, y, precision;
  bool bias;
  Formula formula;
};

struct Numbers3 {
  std::vector<float> a, w, b;
};

struct Run {
  int a_shape = kRowMajor, w_shape = kRowMajor;
  std::ptrdiff_t shift = 0, y_shift = 0;
};

// y as float32 numbers, row-major.
std::vector<float> product(cuda::Stream stream, const ProductForm& form, const TileCut& cut,
                           const Case& c, const Numbers3& numbers, const Run& run,
                           NumberFormat y_format) {
  const Matrices a(stream, numbers.a, c.count, c.m, c.k, c.a,
                   layout_of(run.a_shape, c.m, c.k, run.shift));
  const Matrices w(stream, numbers.w, c.count, c.k, c.n, c.w,
                   layout_of(run.w_shape, c.k, c.n, run.shift));
  const Matrices b(stream, numbers.b, 1, 1, c.n, kFull, {0, c.n, 1, c.n});
  const auto results = static_cast<std::size_t>(c.count * c.m * c.n);
  const std::size_t item = bytes_of(y_format);
  std::vector<unsigned char> y((results + static_cast<std::size_t>(run.y_shift)) * item, 0xee);
  void* const on_y = cuda::allocate(0, y.size());
  cuda::copy(stream, on_y, y.data(), y.size(), cuda::Direction::kToDevice);

  ProductCall call;
  call.m = c.m;
  call.n = c.n;
  call.k = c.k;
  if (c.count > 1) call.batch = Dims{c.count};
  call.a = a.operand(c.count > 1);
  call.w = w.operand(c.count > 1);
  call.precision = c.precision;
  if (c.bias) call.bias = b.operand(false).data;
  call.y = static_cast<char*>(on_y) + static_cast<std::size_t>(run.y_shift) * item;
  call.y_format = y_format;
  call.formula = c.formula;
  call.sizes = {c.m, c.n, c.k, c.count};
  call.stream = stream;
  call.scratch = cuda::allocate(0, std::max<std::size_t>(scratch_bytes(form, call, cut), 1));
  form.launch(call, cut);
  finish(call, cut);
  cuda::copy(stream, y.data(), on_y, y.size(), cuda::Direction::kToHost);
  cuda::release(0, call.scratch);
  cuda::release(0, on_y);

  std::vector<float> out(results);
  for (std::size_t i = 0; i < results; ++i) {
    const unsigned char* const at = y.data() + (i + static_cast<std::size_t>(run.y_shift)) * item;
    std::uint16_t half = 0;
    std::memcpy(y_format == kFull ? static_cast<void*>(&out[i]) : &half, at, item);
    if (y_format != kFull) out[i] = from_half(y_format, half);
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(run.y_shift) * item; ++i)
    if (y[i] != 0xee && ++failures < 20) std::printf("written before y\n");
  return out;
}

void complain(const ProductForm& form, const TileCut& cut, const Case& c, const char* what) {
  if (++failures < 20)
    std::printf("%s, shape %d, %d splits, %d x (%d, %d, %d) of %s and %s in %s to %s%s%s: %s\n",
                form.name, cut.shape, static_cast<int>(cut.splits), static_cast<int>(c.count),
                static_cast<int>(c.m), static_cast<int>(c.k), static_cast<int>(c.n), name_of(c.a),
                name_of(c.w), name_of(c.precision), name_of(c.y), c.bias ? ", bias" : "",
                c.formula == Formula::kNone ? "" : ", activation", what);
}

double activated(Formula formula, double z) {
  switch (formula) {
    case Formula::k_relu: return z > 0 ? z : 0;
    case Formula::k_tanh: return std::tanh(z);
    case Formula::k_softplus: return std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0);
    default: return z;
  }
}

void check(cuda::Stream stream, const ProductForm& form, const TileCut& cut, const Case& c,
           double unit) {
  Numbers3 numbers;
  const auto fill = [](std::vector<float>& to, std::int64_t count, NumberFormat format) {
    to.resize(static_cast<std::size_t>(count));
    for (float& x : to) x = round_to(format, random_number());
  };
  fill(numbers.a, c.count * c.m * c.k, c.a);
  fill(numbers.w, c.count * c.k * c.n, c.w);
  fill(numbers.b, c.n, kFull);
  const std::vector<float> full = product(stream, form, cut, c, numbers, {}, kFull);

  // Each addition may lose `unit`; with splits there are a few more of them. An activation here
  // changes by no more than z does, and is itself within a few units of float32.
  const auto steps = static_cast<double>(c.k + cut.splits + 2);
  const auto at = [](const std::vector<float>& x, std::int64_t i) {
    return x[static_cast<std::size_t>(i)];
  };
  std::vector<double> a(numbers.a.begin(), numbers.a.end()), w(numbers.w.begin(), numbers.w.end());
  for (double& x : a) x = double{round_to(c.precision, static_cast<float>(x))};
  for (double& x : w) x = double{round_to(c.precision, static_cast<float>(x))};
  std::vector<double> z(static_cast<std::size_t>(c.n)), size(z.size());
  bool right = true;
  for (std::int64_t i = 0, to = 0; i < c.count * c.m; ++i) {
    for (std::size_t j = 0; j < z.size(); ++j) {
      z[j] = c.bias ? double{numbers.b[j]} : 0;
      size[j] = std::abs(z[j]);
    }
    for (std::int64_t kk = 0; kk < c.k; ++kk) {
      const double x = a[static_cast<std::size_t>(i * c.k + kk)];
      const double* const row = w.data() + (i / c.m * c.k + kk) * c.n;
      for (std::size_t j = 0; j < z.size(); ++j) {
        z[j] += x * row[j];
        size[j] += std::abs(x * row[j]);
      }
    }
    for (std::size_t j = 0; j < z.size(); ++j, ++to) {
      const double want = activated(c.formula, z[j]);
      const double most = steps * unit * size[j] + 8 * 0x1p-24 * std::abs(want);
      right = right && std::abs(double{at(full, to)} - want) <= most;
    }
  }
  if (!right) complain(form, cut, c, "wrong numbers");

  // The result in 16 bits is that in float32, rounded once.
  std::vector<float> rounded = full;
  for (float& x : rounded) x = round_to(c.y, x);
  const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
    return x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  };
  constexpr Run kRuns[] = {{kRowMajor, kRowMajor, 0, 0},
                           {kPadded, kPadded, 0, 4},
                           {kPadded, kPaddedTransposed, 0, 2},
                           {kPaddedTransposed, kPadded, 8, 8},
                           {kPaddedTransposed, kPaddedTransposed, 0, 1},
                           {kTransposed, kRowMajor, 1, 0},
                           {kPadded, kTransposed, 4, 3},
                           {kStrided, kStrided, 2, 0}};
  std::uint64_t order = 0;
  for (const Run& run : kRuns) {
    emulation::set_order(order++ % 4);
    if (!same(product(stream, form, cut, c, numbers, run, c.y), rounded))
      complain(form, cut, c,
               cat("other bits with layouts ", run.a_shape, ", ", run.w_shape, " from ", run.shift)
                   .c_str());
  }
  emulation::set_order(0);
}

struct SizeLists {
  std::vector<std::int64_t> rows, cols, depths;  // the last depth only for few results
};
const SizeLists kSizeLists = {{1, 7, 8, 15, 16, 17, 31, 33, 127, 128, 129},
                              {1, 7, 8, 15, 16, 17, 31, 33, 127, 128, 129},
                              {0, 1, 15, 16, 17, 100, 1000}};
const SizeLists kGroupLists = {{1, 63, 65, 127, 128, 129},
                               {1, 64, 127, 128, 129, 255, 256, 257},
                               {0, 1, 63, 64, 65, 200, 1000}};
constexpr Formula kFormulas[] = {Formula::kNone, Formula::k_relu, Formula::k_tanh,
                                 Formula::k_softplus};

// Every `step`-th pair of sizes of y from the `first`, with all else in turn.
template <class Cut>
void check_sizes(cuda::Stream stream, const ProductForm& form, const SizeLists& lists, double unit,
                 bool any_precision, int first, int step, const Cut& cut_of) {
  auto turn = static_cast<unsigned>(first);
  const auto next = [&turn](unsigned choices) { return (turn = turn * 5 + 1) / 7 % choices; };
  const NumberFormat formats[] = {kBf16, kF16, kFull};
  for (std::int64_t m : lists.rows)
    for (std::int64_t n : lists.cols) {
      if (first++ % step != 0) continue;
      const std::int64_t k = lists.depths[m * n > 10000 ? next(6) : next(7)];
      Case c{1,
             m,
             n,
             k,
             formats[next(3)],
             formats[next(3)],
             formats[next(3)],
             formats[any_precision ? next(3) : next(2)],
             next(2) == 1,
             kFormulas[next(4)]};
      if (m * n * k < 4000 && next(2) == 1) c.count = 3;
      if (c.a == kFull && c.w == kFull && c.y == kFull && c.precision == kFull) c.y = kBf16;
      check(stream, form, cut_of(c), c, unit);
    }
}

// Scratch for sums that must not be rounded before their activation, and for no others.
void check_scratch() {
  ProductCall call;
  call.sizes = {400, 600, 50, 1};
  const auto expect = [&call](NumberFormat y, Formula formula, std::size_t bytes) {
    call.y_format = y;
    call.formula = formula;
    if (product_scratch_bytes(call) == bytes) return;
    ++failures;
    std::printf("scratch of a product to %s: %d bytes, not %d\n", name_of(y),
                static_cast<int>(product_scratch_bytes(call)), static_cast<int>(bytes));
  };
  for (NumberFormat y : {kFull, kBf16, kF16}) {
    expect(y, Formula::kNone, 0);
    expect(y, Formula::k_tanh, 0);
    expect(y, Formula::k_softplus, y == kFull ? 0 : 400 * 600 * sizeof(float));
  }
}

// A form that was asked for leaves what it does not take to the one before it: only wgmma needs
// room for rounded operands.
void check_choice() {
  const auto bytes = [](std::int64_t m, std::int64_t k, std::int64_t n, NumberFormat precision) {
    ProductCall call;
    call.sizes = {m, n, k, 1};
    call.precision = precision;
    return product_scratch_bytes(call);
  };
  const auto expect = [](const char* what, std::size_t got, std::size_t want) {
    if (got == want) return;
    ++failures;
    std::printf("%s: scratch of %d bytes, not %d\n", what, static_cast<int>(got),
                static_cast<int>(want));
  };
  expect("wgmma", bytes(400, 70, 600, kBf16), 1000 * 72 * 2);
  expect("short sums", bytes(400, 50, 600, kBf16), 0);
  expect("few rows", bytes(64, 70, 600, kBf16), 0);
  expect("float32", bytes(400, 70, 600, kFull), 0);
}

// A batch that broadcasts gives each matrix the bits that it has alone.
void check_batches(cuda::Stream stream) {
  constexpr std::int64_t kM = 66, kN = 70, kK = 72, kOfA = 3, kOfW = 2;
  const auto run = [stream](ProductCall& call, std::int64_t count) {
    std::vector<float> y(static_cast<std::size_t>(count * kM * kN));
    const TileCut cut{kGroup128, 1, kK};
    call.y = cuda::allocate(0, y.size() * sizeof(float));
    call.scratch = cuda::allocate(0, scratch_bytes(kWgmmaProduct, call, cut));
    kWgmmaProduct.launch(call, cut);
    cuda::copy(stream, y.data(), call.y, y.size() * sizeof(float), cuda::Direction::kToHost);
    cuda::release(0, call.scratch);
    cuda::release(0, call.y);
    return y;
  };
  for (NumberFormat format : {kBf16, kFull}) {
    std::vector<float> numbers(static_cast<std::size_t>(kOfA * kOfW * kK * kN));
    for (float& x : numbers) x = round_to(format, random_number());
    const Matrices a(stream, numbers, kOfA, kM, kK, format, layout_of(kPadded, kM, kK, 0));
    const Matrices w(stream, numbers, kOfA * kOfW, kK, kN, format,
                     layout_of(kPaddedTransposed, kK, kN, 0));
    ProductCall all;
    all.m = kM;
    all.n = kN;
    all.k = kK;
    all.precision = kBf16;
    all.stream = stream;
    ProductCall one = all;
    all.batch = Dims{kOfA, kOfW};
    all.sizes = {kM, kN, kK, kOfA * kOfW};
    one.sizes = {kM, kN, kK, 1};
    all.a = a.operand(true);
    all.w = w.operand(true);
    const std::ptrdiff_t a_step = all.a.batch_strides[0], w_step = all.w.batch_strides[0];
    all.a.batch_strides = Dims{a_step, 0};
    all.w.batch_strides = Dims{kOfW * w_step, w_step};
    const std::vector<float> together = run(all, kOfA * kOfW);
    for (std::int64_t i = 0; i < kOfA * kOfW; ++i) {
      one.a = a.operand(false);
      one.w = w.operand(false);
      const auto item = static_cast<std::ptrdiff_t>(bytes_of(format));
      one.a.data = static_cast<const char*>(one.a.data) + i / kOfW * a_step * item;
      one.w.data = static_cast<const char*>(one.w.data) + i * w_step * item;
      const std::vector<float> alone = run(one, 1);
      if (std::equal(alone.begin(), alone.end(), together.begin() + i * kM * kN)) continue;
      ++failures;
      std::printf("wgmma, %s: matrix %d of a batch is not what it is alone\n", name_of(format),
                  static_cast<int>(i));
    }
  }
}

// Wide tiles where there are enough of them and little is wasted; parts of k where there are few.
void check_cuts() {
  const auto expect = [](const ProductSizes& sizes, int shape, std::int64_t splits) {
    const TileCut cut = cut_wgmma(DType::kFloat32, sizes);
    const bool covers = cut.chunk * (cut.splits - 1) < sizes.k &&
                        cut.chunk * cut.splits >= sizes.k && cut.chunk % kGroupDepth == 0;
    if (cut.shape == shape && cut.splits == splits && (covers || cut.splits == 1)) return;
    ++failures;
    std::printf("wgmma, (%d, %d, %d): shape %d, %d parts of %d\n", static_cast<int>(sizes.m),
                static_cast<int>(sizes.k), static_cast<int>(sizes.n), cut.shape,
                static_cast<int>(cut.splits), static_cast<int>(cut.chunk));
  };
  expect({4096, 4096, 4096, 1}, kGroup256, 1);
  expect({16384, 384, 100, 1}, kGroup128, 1);  // a quarter of wide tiles would be empty
  expect({2000, 1000, 500, 1}, kGroup128, 1);
  expect({256, 512, 4001, 1}, kGroup128, 13);  // of 2 x 4 tiles, 320 deep
}

// Aligned operands of the product's precision are not copied, in whichever direction they lie.
void check_launches(cuda::Stream stream) {
  for (NumberFormat format : {kBf16, kFull})
    for (int a_shape : {kPadded, kPaddedTransposed})
      for (int w_shape : {kPadded, kPaddedTransposed}) {
        const Case c{2, 70, 90, 100, format, format, kFull, kBf16, false, Formula::kNone};
        const Numbers3 numbers{std::vector<float>(2 * 70 * 100), std::vector<float>(2 * 100 * 90),
                               std::vector<float>(90)};
        const std::int64_t before = emulation::counts().launches;
        (void)product(stream, kWgmmaProduct, {kGroup128, 1, 100}, c, numbers,
                      {a_shape, w_shape, 0, 0}, kFull);
        const std::int64_t launches = emulation::counts().launches - before;
        if (launches == (format == kBf16 ? 1 : 3)) continue;
        ++failures;
        std::printf("wgmma, layouts %d, %d of %s: %d launches\n", a_shape, w_shape, name_of(format),
                    static_cast<int>(launches));
      }
}

}  // namespace
}  // namespace densa::inline DENSA_ISA

int main() {
  using namespace densa;
  setenv("DENSA_CUDA_MATMUL_16BIT", "wgmma", 1);  // for what is left to choose
  cuda::Stream stream = cuda::create_stream(0);
  check_scratch();
  check_choice();
  check_cuts();
  check_batches(stream);
  check_launches(stream);
  check_sizes(stream, kMixedProduct, kSizeLists, 0x1p-24, true, 0, 1, [](const Case& c) {
    return kMixedProduct.cut(DType::kFloat32, {c.m, c.n, c.k, c.count});
  });
  // Each shape of tiles with one, two and many parts. What a tensor core cuts off of a sum is less
  // than one bit of float32.
  const auto parts = [](int shape, std::int64_t depth) {
    return [shape, depth](const Case& c) -> TileCut {
      const std::int64_t steps = pieces(c.k, depth);
      const std::int64_t chunk = depth * std::max<std::int64_t>(1, pieces(steps, 1 + c.m % 4));
      if (steps < 2) return {shape, 1, c.k};
      return {shape, pieces(c.k, chunk), chunk};
    };
  };
  for (int shape = kWide128; shape <= kTall32; ++shape)
    check_sizes(stream, kMmaProduct, kSizeLists, 0x1p-23, false, shape, 2,
                parts(shape, kHalfDepth));
  for (int shape = kGroup256; shape <= kGroup128; ++shape)
    check_sizes(stream, kWgmmaProduct, kGroupLists, 0x1p-23, false, shape, 2,
                parts(shape, kGroupDepth));
  cuda::destroy_stream(stream);
  if (failures == 0) std::printf("cuda_products16: passed\n");
  return failures == 0 ? 0 : 1;
}
