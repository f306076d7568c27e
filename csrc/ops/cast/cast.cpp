// cast: any dtype to any other. Floats go to integers towards zero; NaN and what does not fit
// become 0, integers wrap. To bool: not equal to 0. The attribute `strict` says what the numbers
// are, ids say: one that does not fit an integer type is then an error.
#include <atomic>
#include <cmath>
#include <type_traits>
#include <utility>

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

template <class To, class From>
bool fits(From x) {
  constexpr bool kNumbers = !std::is_same_v<To, bool> && !std::is_same_v<From, bool>;
  if constexpr (!kNumbers || !std::is_integral_v<To>) {
    return true;
  } else if constexpr (std::is_integral_v<From>) {
    return std::in_range<To>(x);
  } else {
    constexpr double kBits = 8 * sizeof(To) - (std::is_signed_v<To> ? 1 : 0);
    const double wide = std::trunc(static_cast<double>(x)), limit = std::exp2(kBits);
    return wide < limit && wide >= (std::is_signed_v<To> ? -limit : 0.0);
  }
}

template <class To, class From>
[[noreturn]] void throw_misfit(const View& x, const std::string& what) {
  const Dims strides = contiguous_strides(x.shape);
  const auto* from = x.as<const From>();
  for (std::int64_t i = 0, n = element_count(x.shape); i < n; ++i) {
    std::int64_t at = 0;
    for (int k = 0; k < x.shape.rank(); ++k) at += i / strides[k] % x.shape[k] * x.strides[k];
    if (!fits<To>(from[at]))
      throw ValueError(cat(what,
                           " must be whole numbers within the range of integers, but element ", i,
                           " of ", to_string(x.shape), " is ", +from[at],
                           ". Replace such values, or drop their rows, first"));
  }
  throw ValueError(cat(what, " do not fit the range of integers"));  // changed meanwhile
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
  const std::string strict = call.attrs.get_string("strict", "");
  const Walk<2> walk(y.shape, {contiguous_strides(y.shape), broadcast_strides(x, y.shape)});
  visit_dtype(x.dtype, [&](auto from) {
    using From = decltype(from);
    visit_dtype(y.dtype, [&](auto to) {
      using To = decltype(to);
      const From* src = x.as<const From>();
      To* dst = y.as<To>();
      std::atomic<bool> misfit{false};
      walk.run([&](const Walk<2>::Offsets& at, std::int64_t n) {
        const std::int64_t step = walk.step(1);
        for (std::int64_t i = 0; i < n; ++i) dst[at[0] + i] = convert<To>(src[at[1] + i * step]);
        if (strict.empty()) return;
        bool all = true;
        for (std::int64_t i = 0; i < n; ++i) all = all && fits<To>(src[at[1] + i * step]);
        if (!all) misfit.store(true, std::memory_order_relaxed);
      });
      if (misfit.load(std::memory_order_relaxed)) throw_misfit<To, From>(x, strict);
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
