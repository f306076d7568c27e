// embedding and its gradient on a GPU.
#include <string>

#include "cuda/rows_by_id.h"
#include "ops/embedding/ids.h"

namespace densa::inline DENSA_ISA {
namespace {

void embedding(const DeviceCall& call) {
  const View &table = call.in[0], &y = call.out[0];
  const auto item = static_cast<std::int64_t>(item_size(table.dtype));
  launch_gather(call, 1, {call.in[1], table.shape[0], false}, table.shape[1] * item, table.data,
                y.data);
}

void embedding_grad(const DeviceCall& call) {
  const View &dy = call.in[1], &dtable = call.out[0];
  const Ids ids(call.in[0], dtable.shape[0], false);
  if (dtable.dtype == DType::kFloat32) {
    launch_sum(call, 1, ids, dtable.shape[1], dy.as<const float>(), dtable.as<float>());
  } else {
    launch_sum(call, 1, ids, dtable.shape[1], dy.as<const double>(), dtable.as<double>());
  }
}

void bad_id(const DeviceCall& call, const char* op, const View& ids, std::int64_t rows,
            long long status) {
  std::uint64_t room = 0;
  throw_bad_id(op, id_text(fetch_id(call, ids, status, &room), 0), status, ids.shape, rows);
}
void report(const DeviceCall& call, long long status) {
  const std::string what = call.attrs.get_string("what", "embedding");
  bad_id(call, what.c_str(), call.in[1], call.in[0].shape[0], status);
}
void report_grad(const DeviceCall& call, long long status) {
  bad_id(call, "embedding_grad", call.in[0], call.out[0].shape[0], status);
}

constexpr DeviceOp kOps[] = {
    {.name = "embedding", .eval = &embedding, .report = &report},
    {.name = "embedding_grad", .eval = &embedding_grad, .report = &report_grad},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> embedding() { return kOps; }

}  // namespace densa::cuda_ops
