// embedding(table (n, d), ids) -> ids.shape + (d,), and the scatter-add that is its gradient.
#include "ops/embedding/ids.h"

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "ops/check.h"
#include "ops/walk.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs&) {
  check_inputs(in, 2, "embedding");
  if (in[0].shape.rank() != 2)
    throw ShapeError(cat("embedding: the table must have shape (rows, width) but has shape ",
                         to_string(in[0].shape)));
  check_integer(in[1], "ids", "embedding");
  Dims shape = in[1].shape;
  shape.push_back(in[0].shape[1]);
  return {{in[0].dtype, shape}};
}

std::vector<Value> grad(const GradCall& call) {
  std::vector<Value> out(2);
  const TypeInfo& table = call.in[0]->type;
  if (call.needs[0] && is_floating(table.dtype))
    out[0] =
        call.build.apply("embedding_grad", {call.in[1], call.dy[0]}, {{"rows", table.shape[0]}});
  return out;
}

// Before anything is written. The attribute `what` is for messages, in place of the op's name.
void check_ids(const View& ids, std::int64_t rows, const Attrs& attrs, const char* op) {
  const std::int64_t count = element_count(ids.shape);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t id = id_at(ids, i);
    if (id < 0 || id >= rows) {
      throw_bad_id(attrs.get_string("what", op).c_str(), id_text(ids, i), i, ids.shape, rows);
    }
  }
}

void eval(const EvalCall& call) {
  const View &table = call.in[0], &ids = call.in[1];
  check_ids(ids, table.shape[0], call.attrs, "embedding");
  const auto* from = table.as<const char>();
  char* to = call.out[0].as<char>();
  const std::int64_t width = table.shape[1] * static_cast<std::int64_t>(item_size(table.dtype));
  const std::int64_t grain = 1 + kParallelGrain / (1 + table.shape[1]);
  parallel_for(element_count(ids.shape), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(to + i * width, from + id_at(ids, i) * width, static_cast<std::size_t>(width));
  });
}

std::vector<TypeInfo> infer_grad(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, "embedding_grad");
  check_integer(in[0], "ids", "embedding_grad");
  check_floating(in[1], "embedding_grad");
  Dims wanted = in[0].shape;
  const Dims& shape = in[1].shape;
  wanted.push_back(shape.rank() > 0 ? shape.back() : 1);
  if (!(wanted == shape))
    throw ShapeError(cat("embedding_grad: ids ", to_string(in[0].shape), " need dy of shape ",
                         to_string(wanted), " but it has shape ", to_string(shape)));
  const std::int64_t rows = attrs.get_int("rows", -1);
  if (rows < 0) throw ValueError(cat("embedding_grad: rows must be at least 0 but is ", rows));
  return {{in[1].dtype, {rows, shape.back()}}};
}

std::vector<Value> grad_grad(const GradCall& call) {
  std::vector<Value> out(2);
  if (call.needs[1]) out[1] = call.build.apply("embedding", {call.dy[0], call.in[0]});
  return out;
}

// Adds in ascending order of the ids' positions; threads share out columns, not ids.
template <class T>
void eval_grad(const EvalCall& call) {
  const View& ids = call.in[0];
  const T* dy = call.in[1].as<const T>();
  T* dtable = call.out[0].as<T>();
  const std::int64_t rows = call.out[0].shape[0], width = call.out[0].shape[1];
  check_ids(ids, rows, call.attrs, "embedding_grad");
  std::fill(dtable, dtable + rows * width, T(0));
  const std::int64_t count = element_count(ids.shape);
  const std::int64_t grain = std::max<std::int64_t>(16, kParallelGrain / (1 + count));
  parallel_for(width, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < count; ++i) {
      const T* from = dy + i * width;
      T* to = dtable + id_at(ids, i) * width;
      for (std::int64_t c = begin; c < end; ++c) to[c] += from[c];
    }
  });
}

void eval_grad_any(const EvalCall& call) {
  call.out[0].dtype == DType::kFloat32 ? eval_grad<float>(call) : eval_grad<double>(call);
}

constexpr Op kOps[] = {
    {"embedding", &infer, &grad, &eval},
    {"embedding_grad", &infer_grad, &grad_grad, &eval_grad_any},
};

}  // namespace

namespace ops {
std::span<const Op> embedding();
std::span<const Op> embedding() { return kOps; }
}  // namespace ops

}  // namespace densa
