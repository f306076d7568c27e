// matmul: a (..., m, k) times b (..., k, n), batch dimensions broadcast.
#include <algorithm>

#include "base/panel.h"
#include "base/threads.h"
#include "ops/matmul/precision.h"
#include "ops/matmul/product.h"
#include "ops/op.h"

namespace densa::ops {
namespace {

struct Call {
  bool transpose_a, transpose_b;
  explicit Call(const Attrs& attrs)
      : transpose_a(attrs.get_bool("transpose_a", false)),
        transpose_b(attrs.get_bool("transpose_b", false)) {}
};

// (rows, cols) of the last two dimensions after the transpose.
std::pair<std::int64_t, std::int64_t> matrix_of(const Dims& shape, bool transposed) {
  const std::int64_t r = shape[shape.rank() - 2], c = shape[shape.rank() - 1];
  return transposed ? std::pair(c, r) : std::pair(r, c);
}

Dims batch_of(const Dims& shape) {
  return Dims(std::span(shape.begin(), static_cast<std::size_t>(shape.rank() - 2)));
}

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  if (in.size() != 2) throw ValueError(cat("matmul: takes 2 inputs, got ", in.size()));
  const TypeInfo &a = in[0], &b = in[1];
  if (a.dtype != b.dtype || !is_floating(a.dtype))
    throw TypeError(cat("matmul: needs two float32 or two float64 inputs, got ",
                        dtype_name(a.dtype), " and ", dtype_name(b.dtype)));
  if (a.shape.rank() < 2 || b.shape.rank() < 2)
    throw ShapeError(cat("matmul: needs matrices, got shapes ", to_string(a.shape), " and ",
                         to_string(b.shape), ". Reshape a vector to (1, n) or (n, 1)"));
  const Call call(attrs);
  const auto [m, k] = matrix_of(a.shape, call.transpose_a);
  const auto [k_b, n] = matrix_of(b.shape, call.transpose_b);
  if (k != k_b) {
    const std::string text =
        cat("matmul: a has ", is_open(k) ? "rows" : std::to_string(k), " columns but b has ",
            is_open(k_b) ? "rows" : std::to_string(k_b), " rows (a ", to_string(a.shape),
            call.transpose_a ? " transposed" : "", ", b ", to_string(b.shape),
            call.transpose_b ? " transposed" : "", ")");
    if (is_open(k) || is_open(k_b)) throw NeedsRows(text);
    throw ShapeError(text);
  }
  check_precision(attrs, "matmul");
  Dims shape = broadcast_shapes(batch_of(a.shape), batch_of(b.shape), "matmul");
  shape.push_back(m);
  shape.push_back(n);
  return {{a.dtype, shape}};
}

Ints shape_attr(const Dims& shape) { return {shape.begin(), shape.end()}; }

Value summed_to(const GradCall& call, Value gradient, const Dims& shape) {
  if (gradient->type.shape == shape) return gradient;
  return call.build.apply("sum_to", {std::move(gradient)}, {{"shape", shape_attr(shape)}});
}

std::vector<Value> grad(const GradCall& call) {
  if (call.dy[0] == nullptr) return {nullptr, nullptr};
  const Value &a = call.in[0], &b = call.in[1], dy = rounded_for_product(call, call.dy[0]);
  const Call flags(call.attrs);
  const auto product = [&](const Value& left, const Value& right, bool ta, bool tb) {
    Attrs attrs = precision_of(call.attrs);
    if (ta) attrs.set("transpose_a", true);
    if (tb) attrs.set("transpose_b", true);
    return call.build.apply("matmul", {left, right}, attrs);
  };
  // Of one matrix b that meets a batch of a, as one product over all rows.
  const auto joined = [&](const Value& v) {
    return call.build.apply("reshape", {v}, {{"shape", Ints{-1, v->type.shape.back()}}});
  };
  const bool one = b->type.shape.rank() == 2 && a->type.shape.rank() > 2 && !flags.transpose_a;
  std::vector<Value> out(2);
  if (call.needs[0]) {
    Value da = flags.transpose_a ? product(b, dy, flags.transpose_b, true)
                                 : product(dy, b, false, !flags.transpose_b);
    out[0] = summed_to(call, std::move(da), a->type.shape);
  }
  if (call.needs[1] && one) {
    const Value rows = joined(a), d = joined(dy);
    out[1] = flags.transpose_b ? product(d, rows, true, false) : product(rows, d, true, false);
  } else if (call.needs[1]) {
    Value db = flags.transpose_b ? product(dy, a, true, flags.transpose_a)
                                 : product(a, dy, !flags.transpose_a, false);
    out[1] = summed_to(call, std::move(db), b->type.shape);
  }
  return out;
}

// ---- evaluation -----------------------------------------------------------------------------

// The whole call as numbers. Where b is one matrix and a's batch runs on evenly, the batch joins
// the rows: one large product.
struct Layout {
  std::int64_t m, k, n, batch = 1;
  bool joined = false;
  Dims batch_shape;
};

// True if one stride leads through the rows of every matrix of a (..., m, k) in turn: `stride`.
bool rows_run_on(const View& a, std::ptrdiff_t& stride) {
  std::ptrdiff_t next = 0;
  bool first = true;
  for (int i = a.shape.rank() - 2; i >= 0; --i) {
    if (a.shape[i] == 1) continue;
    if (first) stride = a.strides[i];
    if (!first && a.strides[i] != next) return false;
    next = a.strides[i] * a.shape[i];
    first = false;
  }
  return true;
}

std::int64_t matrices(const Dims& shape) { return element_count(batch_of(shape)); }

Layout layout_of(const Dims& a, const Dims& b, const Attrs& attrs) {
  const Call call(attrs);
  Layout l{};
  std::tie(l.m, l.k) = matrix_of(a, call.transpose_a);
  l.n = matrix_of(b, call.transpose_b).second;
  l.batch_shape = broadcast_shapes(batch_of(a), batch_of(b), "matmul");
  l.batch = element_count(l.batch_shape);
  l.joined = !call.transpose_a && matrices(b) == 1 && matrices(a) == l.batch;
  return l;
}

// Products of a batch that may run side by side: small ones, each with scratch of its own.
constexpr std::int64_t kSlots = 16;
constexpr std::size_t kSlotBytes = std::size_t{1} << 20;

std::int64_t slots_of(const Layout& l, std::size_t item_size) {
  return l.batch > 1 && product_scratch(l.m, l.k, l.n, item_size) <= kSlotBytes
             ? std::min(l.batch, kSlots)
             : 1;
}

std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs& attrs) {
  const Layout l = layout_of(in[0].shape, in[1].shape, attrs);
  const std::size_t size = item_size(in[0].dtype);
  const std::size_t single =
      product_scratch(l.m, l.k, l.n, size) * static_cast<std::size_t>(slots_of(l, size));
  return l.joined ? std::max(single, product_scratch(l.m * l.batch, l.k, l.n, size)) : single;
}

template <class T>
MatrixView<const T> matrix_at(const View& v, std::ptrdiff_t offset, bool transposed) {
  const int last = v.shape.rank() - 1;
  MatrixView<const T> m{v.as<const T>() + offset, v.shape[last - 1], v.shape[last],
                        v.strides[last - 1], v.strides[last]};
  if (transposed) {
    std::swap(m.rows, m.cols);
    std::swap(m.row_stride, m.col_stride);
  }
  return m;
}

// Where matrix `index` of the broadcast batch starts in v.
std::ptrdiff_t offset_of(const View& v, const Dims& batch_shape, std::int64_t index) {
  const int skipped = batch_shape.rank() - (v.shape.rank() - 2);
  std::ptrdiff_t offset = 0;
  for (int i = batch_shape.rank() - 1; i >= 0; --i) {
    const std::int64_t at = index % batch_shape[i];
    index /= batch_shape[i];
    if (i >= skipped && v.shape[i - skipped] != 1) offset += at * v.strides[i - skipped];
  }
  return offset;
}

template <class T>
void run(const EvalCall& call) {
  const View &a = call.in[0], &b = call.in[1];
  T* y = call.out[0].as<T>();
  const Call flags(call.attrs);
  const Layout l = layout_of(a.shape, b.shape, call.attrs);
  std::ptrdiff_t row_stride = l.k;
  if (l.joined && rows_run_on(a, row_stride)) {
    MatrixView<const T> x = matrix_at<T>(a, 0, false);
    x.rows = l.m * l.batch;
    x.row_stride = row_stride;
    product<T>(x, matrix_at<T>(b, 0, flags.transpose_b), nullptr, 0, {y, x.rows, l.n, l.n, 1},
               call.scratch);
    return;
  }
  const std::int64_t slots = slots_of(l, sizeof(T));
  const std::size_t slot_bytes = product_scratch(l.m, l.k, l.n, sizeof(T));
  const auto one = [&](std::int64_t index, std::int64_t slot, bool threads) {
    product<T>(matrix_at<T>(a, offset_of(a, l.batch_shape, index), flags.transpose_a),
               matrix_at<T>(b, offset_of(b, l.batch_shape, index), flags.transpose_b), nullptr, 0,
               {y + index * l.m * l.n, l.m, l.n, l.n, 1},
               static_cast<std::byte*>(call.scratch) + static_cast<std::size_t>(slot) * slot_bytes,
               threads);
  };
  if (slots == 1) {
    for (std::int64_t i = 0; i < l.batch; ++i) one(i, 0, true);
    return;
  }
  const std::int64_t work = std::max<std::int64_t>(1, l.m * l.k * l.n * (l.batch / slots));
  parallel_for(slots, std::max<std::int64_t>(1, (std::int64_t{1} << 20) / work),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t s = begin; s < end; ++s)
                   for (std::int64_t i = s; i < l.batch; i += slots) one(i, s, false);
               });
}

void eval(const EvalCall& call) {
  if (call.out[0].dtype == DType::kFloat32) {
    run<float>(call);
  } else {
    run<double>(call);
  }
}

constexpr Op kOps[] = {
    {.name = "matmul",
     .infer = infer,
     .grad = grad,
     .eval = eval,
     .scratch_bytes = scratch_bytes,
     .any_strides = true},
};

}  // namespace

std::span<const Op> matmul() { return kOps; }

}  // namespace densa::ops
