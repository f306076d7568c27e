// Small arithmetic in one launch: blockIdx.y is the run, a thread takes an element through its
// steps. An output may lie where an input of its run does: each element is read before it is
// written, by the same thread.
#include "ops/arithmetic/arithmetic.h"

#include <algorithm>

#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {
namespace {

constexpr int kBlock = 128;
constexpr int kHere = 128;  // operands from here on are results of the run's steps
static_assert(kMostInputs <= kHere && kMostInRun <= kHere);

struct Step {
  std::uint8_t kind, a, b;
  std::int8_t result;  // which output; -1: none
};
struct Run {
  int n, first, last;
};

template <class T>
struct ArithmeticCall {
  Run runs[kMostRuns] = {};
  Step steps[kMostSteps] = {};
  bool one[kMostInputs] = {};  // one element serves all
  Global<const T> in[kMostInputs];
  Global<T> out[kMostResults];
};

template <class T>
__device__ T step_value(int kind, T a, T b) {
  switch (kind) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    default: return a / b;
  }
}

template <class T>
__global__ void run_arithmetic(ArithmeticCall<T> a) {
  const Run run = a.runs[blockIdx.y];
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < run.n; i += GridStride::step()) {
    T own[kMostInRun] = {};
    const auto operand = [&](int which) {
      return which >= kHere ? own[which - kHere] : a.in[which][a.one[which] ? 0 : i];
    };
    for (int s = run.first; s < run.last; ++s)
      own[s - run.first] =
          step_value(a.steps[s].kind, operand(a.steps[s].a), operand(a.steps[s].b));
    for (int s = run.first; s < run.last; ++s)
      if (a.steps[s].result >= 0) a.out[a.steps[s].result][i] = own[s - run.first];
  }
}

template <class T>
void eval_as(const DeviceCall& call) {
  const Ints code = call.attrs.get_ints("code"), ends = call.attrs.get_ints("ends"),
             results = call.attrs.get_ints("results");
  ArithmeticCall<T> a;
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    a.in[i] = Global<const T>(call.in[i].as<const T>());
    a.one[i] = element_count(call.in[i].shape) == 1;
  }
  for (std::size_t i = 0; i < call.out.size(); ++i) a.out[i] = Global<T>(call.out[i].as<T>());
  std::int64_t most = 0;
  for (std::size_t r = 0, s = 0; r < ends.size(); ++r) {
    Run& run = a.runs[r];
    run.first = static_cast<int>(s);
    run.last = static_cast<int>(ends[r]);
    for (; s < static_cast<std::size_t>(run.last); ++s) {
      const auto place = [&](std::int64_t operand) {
        const std::int64_t step = operand - static_cast<std::int64_t>(call.in.size());
        return static_cast<std::uint8_t>(step < 0 ? operand : kHere + step - run.first);
      };
      const auto found = std::ranges::find(results, static_cast<std::int64_t>(s));
      const int result = found == results.end() ? -1 : static_cast<int>(found - results.begin());
      a.steps[s] = {static_cast<std::uint8_t>(code[3 * s]), place(code[3 * s + 1]),
                    place(code[3 * s + 2]), static_cast<std::int8_t>(result)};
      if (result >= 0)
        run.n = static_cast<int>(element_count(call.out[static_cast<std::size_t>(result)].shape));
    }
    most = std::max<std::int64_t>(most, run.n);
  }
  const std::int64_t blocks = std::min<std::int64_t>((most + kBlock - 1) / kBlock, 1024);
  cuda::launch(call.stream,
               {{static_cast<unsigned>(blocks), static_cast<unsigned>(ends.size())}, {kBlock}},
               run_arithmetic<T>, a);
}

void eval(const DeviceCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? eval_as<double> : eval_as<float>)(call);
}

constexpr DeviceOp kOps[] = {{.name = "arithmetic", .eval = &eval}};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> arithmetic();
std::span<const DeviceOp> arithmetic() { return kOps; }

}  // namespace densa::cuda_ops
