// No op says that it makes values of 16 bits from inputs that have none: kernels write float32, and
// memory of half the size would be written past its end. Only the cast does.
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "ops/op.h"
#include "tensor/half.h"

namespace {

using namespace densa;

// What an op makes of these inputs; nothing if it refuses them.
std::vector<TypeInfo> made(const Op& op, const std::vector<TypeInfo>& in, const Attrs& attrs,
                           std::string* why = nullptr) {
  try {
    return op.infer(in, attrs);
  } catch (const std::exception& error) {
    if (why != nullptr) *why = error.what();
    return {};
  }
}

void each_op(DType half) {
  const std::string name(dtype_name(half));
  const Attrs attrs{{"shape", Ints{3, 2}}, {"classes", 3}, {"dtype", name}};
  for (const Op* op : all_ops()) {
    if (std::string_view(op->name) == "cast") continue;
    for (const DType dtype : {DType::kInt64, DType::kFloat32})
      for (std::size_t count = 0; count <= 3; ++count)
        for (const TypeInfo& out : made(*op, std::vector(count, TypeInfo{dtype, {3, 2}}), attrs))
          CHECK(!is_half(out.dtype), "%s makes %s", op->name, name.c_str());
  }
}

void refusals() {
  const std::vector<TypeInfo> ids{{DType::kInt64, {3}}};
  const Attrs attrs{{"shape", Ints{3}}, {"classes", 3}, {"dtype", std::string("bfloat16")}};
  for (const char* name : {"random_normal", "random_uniform", "one_hot", "row_count"}) {
    std::string why;
    const bool makes = std::string_view(name).starts_with("random");
    CHECK(made(find_op(name), makes ? std::vector<TypeInfo>{} : ids, attrs, &why).empty(), "%s",
          name);
    CHECK(why.starts_with(name) && why.find("bfloat16") != std::string::npos, "%s", why.c_str());
  }
  const std::vector<TypeInfo> half{{DType::kFloat16, {3}}};
  std::string why;
  try {
    check_writes(find_op("tanh"), half);
  } catch (const TypeError& error) {
    why = error.what();
  }
  CHECK(why.starts_with("tanh: cannot write float16(3,)"), "%s", why.c_str());
  check_writes(find_op("cast"), half);
  check_writes(find_op("reshape"), half);
}

}  // namespace

int main() {
  each_op(DType::kFloat16);
  each_op(DType::kBFloat16);
  refusals();
  return failures != 0;
}
