// cast: any dtype to any other. Floats go to integers towards zero; NaN and what does not fit
// become 0. To bool: not equal to 0.
#include <type_traits>

#include "ops/check.h"
#include "ops/op.h"
#include "ops/walk.h"

namespace densa {
namespace {

template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From{};
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    constexpr bool kUnsignedWide = std::is_same_v<To, std::uint64_t>;
    constexpr double kLimit = kUnsignedWide ? 0x1p64 : 0x1p63;
    const auto wide = static_cast<double>(x);
    if (!(wide < kLimit && wide >= -0x1p63)) return 0;
    if (kUnsignedWide && wide >= 0) return static_cast<To>(static_cast<std::uint64_t>(wide));
    return static_cast<To>(static_cast<std::int64_t>(wide));
  } else {
    return static_cast<To>(x);
  }
}

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 1, "cast");
  return {{dtype_from_name(attrs.get_string("dtype", "float32")), in[0].shape}};
}

std::vector<Value> grad(const GradCall& call) {
  const DType from = call.in[0]->type.dtype;
  if (call.dy[0] == nullptr || !is_floating(from) || !is_floating(call.out[0]->type.dtype))
    return {nullptr};
  return {call.build.apply("cast", {call.dy[0]}, {{"dtype", std::string(dtype_name(from))}})};
}

void eval(const EvalCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const Walk<2> walk(y.shape, {contiguous_strides(y.shape), broadcast_strides(x, y.shape)});
  visit_dtype(x.dtype, [&](auto from) {
    using From = decltype(from);
    visit_dtype(y.dtype, [&](auto to) {
      using To = decltype(to);
      const From* src = x.as<const From>();
      To* dst = y.as<To>();
      walk.run([&](const Walk<2>::Offsets& at, std::int64_t n) {
        const std::int64_t step = walk.step(1);
        for (std::int64_t i = 0; i < n; ++i) dst[at[0] + i] = convert<To>(src[at[1] + i * step]);
      });
    });
  });
}

constexpr Op make() {
  Op op{"cast", &infer, &grad, &eval};
  op.any_strides = true;
  return op;
}
constexpr Op kOps[] = {make()};

}  // namespace

namespace ops {
std::span<const Op> cast();
std::span<const Op> cast() { return kOps; }
}  // namespace ops

}  // namespace densa
