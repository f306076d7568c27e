// dense: act(x * w + b) over the last axis of x.
#include <algorithm>

#include "ops/elementwise/elementwise.h"
#include "ops/matmul/precision.h"
#include "ops/matmul/product.h"
#include "ops/op.h"

namespace densa::ops {
namespace {

// The activation of a call: a unary formula and its parameter.
struct Activation {
  const UnaryKernel* kernel = nullptr;  // null: none
  double params[kMaxUnaryParams] = {};

  explicit Activation(const Attrs& attrs) {
    const std::string name = attrs.get_string("activation", "");
    if (name.empty()) return;
    kernel = find_unary(name.c_str());
    if (kernel == nullptr)
      throw ValueError(cat("dense: activation '", name, "' is not an elementwise op"));
    if (kernel->attribute != nullptr)
      params[0] = attrs.get_double(kernel->attribute, kernel->missing);
  }
};

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  if (in.size() != 2 && in.size() != 3)
    throw ValueError(cat("dense: takes x, w and an optional b, got ", in.size(), " inputs"));
  const TypeInfo &x = in[0], &w = in[1];
  for (const TypeInfo& each : in)
    if (each.dtype != x.dtype || !is_floating(each.dtype))
      throw TypeError(cat("dense: x, w and b must all be float32 or all float64, got ",
                          dtype_name(x.dtype), ", ", dtype_name(w.dtype),
                          in.size() == 3 ? cat(", ", dtype_name(in[2].dtype)) : ""));
  if (x.shape.rank() < 1 || w.shape.rank() != 2)
    throw ShapeError(cat("dense: x needs at least one axis and w two, got x ", to_string(x.shape),
                         ", w ", to_string(w.shape)));
  if (x.shape.back() != w.shape[0]) {
    const std::string text =
        cat("dense: x has ", is_open(x.shape.back()) ? "rows" : std::to_string(x.shape.back()),
            " features but w expects ", w.shape[0], " (x ", to_string(x.shape), ", w ",
            to_string(w.shape), ")");
    if (is_open(x.shape.back())) throw NeedsRows(text);
    throw ShapeError(text);
  }
  if (in.size() == 3 && !(in[2].shape == Dims{w.shape[1]}))
    throw ShapeError(cat("dense: b has shape ", to_string(in[2].shape), " but must be (",
                         w.shape[1], ",) for w ", to_string(w.shape)));
  const Activation checked(attrs);
  check_precision(attrs, "dense");
  Dims shape = x.shape;
  shape[shape.rank() - 1] = w.shape[1];
  return {{x.dtype, shape}};
}

// dy through the activation. A slope that needs the value before it has that computed again.
Value before_activation(const GradCall& call, const Value& dy) {
  const UnaryKernel* kernel = Activation(call.attrs).kernel;
  if (kernel == nullptr) return dy;
  if (kernel->saved == Saved::kNone) return nullptr;
  Attrs attrs;
  attrs.set("fn", call.attrs.get_string("activation", ""));
  if (kernel->attribute != nullptr && call.attrs.has(kernel->attribute))
    attrs.set(kernel->attribute, call.attrs.get_double(kernel->attribute, 0));
  const Value saved = kernel->saved == Saved::kOutput
                          ? call.out[0]
                          : call.build.apply_all("dense", call.in, precision_of(call.attrs))[0];
  return call.build.apply("unary_slope", {saved, dy}, attrs);
}

std::vector<Value> grad(const GradCall& call) {
  std::vector<Value> gradients(call.in.size());
  if (call.dy[0] == nullptr) return gradients;
  Value dz = before_activation(call, call.dy[0]);
  if (dz == nullptr) return gradients;
  dz = rounded_for_product(call, dz);
  const Value &x = call.in[0], &w = call.in[1];
  // As matrices: leading axes joined into rows.
  const auto rows_of = [&](const Value& v) {
    if (v->type.shape.rank() == 2) return v;
    return call.build.apply("reshape", {v}, {{"shape", Ints{-1, v->type.shape.back()}}});
  };
  const Value dz_rows = rows_of(dz);
  if (call.needs[0]) {
    Attrs attrs = precision_of(call.attrs);
    attrs.set("transpose_b", true);
    Value dx = call.build.apply("matmul", {dz_rows, w}, attrs);
    if (x->type.shape.rank() != 2) {
      const Dims& shape = x->type.shape;
      dx = call.build.apply("reshape", {dx}, {{"shape", Ints(shape.begin(), shape.end())}});
    }
    gradients[0] = dx;
  }
  if (call.needs[1]) {
    Attrs attrs = precision_of(call.attrs);
    attrs.set("transpose_a", true);
    gradients[1] = call.build.apply("matmul", {rows_of(x), dz_rows}, attrs);
  }
  if (call.in.size() == 3 && call.needs[2])
    gradients[2] = call.build.apply("sum", {dz_rows}, {{"axis", Ints{0}}});
  return gradients;
}

std::int64_t rows_in(const Dims& shape) {
  std::int64_t rows = 1;
  for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
  return rows;
}

std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs&) {
  return product_scratch(rows_in(in[0].shape), in[1].shape[0], in[1].shape[1],
                         item_size(in[0].dtype));
}

template <class T>
void run(const EvalCall& call) {
  const View &x = call.in[0], &w = call.in[1];
  const std::int64_t in = w.shape[0], out = w.shape[1], rows = rows_in(x.shape);
  const View* b = call.in.size() == 3 ? &call.in[2] : nullptr;
  const Activation activation(call.attrs);
  Epilogue<T> epilogue;
  if (activation.kernel != nullptr) {
    epilogue.context = &activation;
    epilogue.run = [](const void* context, T* y, std::int64_t n) {
      const auto& a = *static_cast<const Activation*>(context);
      a.kernel->fns<T>().value(y, y, static_cast<std::size_t>(n), a.params);
    };
  }
  product<T>({x.as<const T>(), rows, in, in, 1},
             {w.as<const T>(), in, out, w.strides[0], w.strides[1]},
             b == nullptr ? nullptr : b->as<const T>(), 1, {call.out[0].as<T>(), rows, out, out, 1},
             call.scratch, true, epilogue);
}

void eval(const EvalCall& call) {
  if (call.out[0].dtype == DType::kFloat32) {
    run<float>(call);
  } else {
    run<double>(call);
  }
}

constexpr Op kOps[] = {
    {.name = "dense", .infer = infer, .grad = grad, .eval = eval, .scratch_bytes = scratch_bytes},
};

}  // namespace

std::span<const Op> dense() { return kOps; }

}  // namespace densa::ops
