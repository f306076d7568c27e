// where on a GPU: one thread per element; only the size of an element matters.
#include "cuda/strided.h"
#include "ops/backend.h"
#include "ops/copy.h"

namespace densa::inline DENSA_ISA {
namespace {

struct Choose {
  template <class T>
  __device__ T operator()(bool cond, T a, T b) const {
    return cond ? a : b;
  }
};

void where(const DeviceCall& call) {
  visit_word(call.out[0].dtype, [&](auto zero) {
    using Word = decltype(zero);
    launch_map<Word, bool, Word, Word>(call.stream, Choose{}, call.out[0], call.in[0], call.in[1],
                                       call.in[2]);
  });
}

constexpr DeviceOp kOps[] = {{.name = "where", .eval = &where, .any_strides = true}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> select() { return kOps; }

}  // namespace densa::cuda_ops
