#include "ops/arithmetic/arithmetic.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  const Ints code = attrs.get_ints("code");
  std::vector<TypeInfo> all(in.begin(), in.end());
  for (std::size_t at = 0; at + 2 < code.size(); at += 3) {
    const TypeInfo &a = all.at(static_cast<std::size_t>(code[at + 1])),
                   &b = all.at(static_cast<std::size_t>(code[at + 2]));
    all.push_back({a.dtype, broadcast_shapes(a.shape, b.shape, "arithmetic")});
  }
  std::vector<TypeInfo> out;
  for (std::int64_t step : attrs.get_ints("results"))
    out.push_back(all.at(in.size() + static_cast<std::size_t>(step)));
  return out;
}

const Op kArithmetic{"arithmetic", infer, nullptr, nullptr};

}  // namespace

const Op& arithmetic_op() { return kArithmetic; }

}  // namespace densa
