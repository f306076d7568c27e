// Reductions without a vector kernel: integers and bool, any and all, argmax and argmin.
#include <type_traits>

#include "ops/check.h"
#include "ops/reduce/layout.h"
#include "ops/reduce/parts.h"
#include "ops/walk.h"

namespace densa {
namespace reduce {
namespace {

template <Plain kKind, class T>
void loops(const Layout& layout, const T* x, T* y) {
  using Fold = PlainFold<kKind, T>;
  const std::int64_t reduced = layout.reduced, inner = layout.inner;
  parallel_for(layout.outer, 1 + kParallelGrain / (reduced * inner + 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t o = begin; o < end; ++o) {
                   T* out = y + o * inner;
                   for (std::int64_t i = 0; i < inner; ++i) out[i] = Fold::neutral();
                   const T* from = x + o * reduced * inner;
                   for (std::int64_t r = 0; r < reduced; ++r, from += inner)
                     for (std::int64_t i = 0; i < inner; ++i) out[i] = Fold::of(out[i], from[i]);
                 }
               });
}

// The first largest (smallest) one; the first NaN if there is any.
template <bool kMax, class T>
void arg_loops(const ArgCall& call, const T* x, std::int64_t* y) {
  parallel_for(call.outer, 1 + kParallelGrain / (call.count * call.inner + 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t o = begin; o < end; ++o) {
                   for (std::int64_t i = 0; i < call.inner; ++i) {
                     const T* from = x + o * call.count * call.inner + i;
                     std::int64_t best = 0;
                     T top = from[0];
                     for (std::int64_t r = 1; r < call.count; ++r) {
                       const T v = from[r * call.inner];
                       if (beats<kMax>(v, top)) {
                         best = r;
                         top = v;
                       }
                     }
                     y[o * call.inner + i] = best;
                   }
                 }
               });
}

template <bool kMax>
struct Arg {
  static constexpr const char* kName = kMax ? "argmax" : "argmin";

  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
    check_inputs(in, 1, kName);
    const Dims& shape = in[0].shape;
    Dims out;
    const bool flat = attrs.get_bool("flat", false);
    const bool keepdims = attrs.get_bool("keepdims", false);
    const int axis = flat ? 0 : normalize_axis(attrs.get_int("axis", -1), shape.rank(), kName);
    bool none = false;
    for (int i = 0; i < shape.rank(); ++i) {
      const bool gone = flat || i == axis;
      none = none || (gone && shape[i] == 0);
      if (!gone) out.push_back(shape[i]);
      if (gone && keepdims) out.push_back(1);
    }
    if (none)
      throw ValueError(cat(kName, ": x ", to_string(shape), " has no element along the axis"));
    return {{DType::kInt64, out}};
  }
  static void eval(const EvalCall& call) {
    const ArgCall arg = arg_call(call.in[0].shape, call.attrs, kName);
    visit_dtype(call.in[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      arg_loops<kMax>(arg, call.in[0].as<const T>(), call.out[0].as<std::int64_t>());
    });
  }
};

template <bool kAll>
struct Truth {
  static constexpr const char* kName = kAll ? "all" : "any";

  static std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
    check_inputs(in, 1, kName);
    if (in[0].dtype != DType::kBool)
      throw TypeError(cat(kName, ": expected bool but got ", dtype_name(in[0].dtype)));
    const auto reduced = reduced_axes(ints_of(attrs, "axis"), in[0].shape.rank(), kName);
    return {{DType::kBool, result_shape(in[0].shape, reduced, attrs.get_bool("keepdims", false))}};
  }
  static void eval(const EvalCall& call) {
    const View& x = call.in[0];
    plain_reduce<kAll ? Plain::kAll : Plain::kAny>(
        x, call.out[0], reduced_axes(ints_of(call.attrs, "axis"), x.shape.rank(), kName),
        call.scratch);
  }
  static std::size_t scratch(std::span<const TypeInfo> in, const Attrs&) {
    return static_cast<std::size_t>(element_count(in[0].shape));
  }
};

}  // namespace

template <Plain kKind>
void plain_reduce(const View& x, const View& y, const std::array<bool, kMaxRank>& reduced,
                  void* scratch) {
  const Layout layout = layout_of(x.shape, reduced);
  const void* from = x.data;
  if (layout.permute) {
    move_axes(x, layout, scratch);
    from = scratch;
  }
  visit_dtype(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T>)
      loops<kKind>(layout, static_cast<const T*>(from), y.as<T>());
  });
}

template void plain_reduce<Plain::kSum>(const View&, const View&, const std::array<bool, kMaxRank>&,
                                        void*);
template void plain_reduce<Plain::kProd>(const View&, const View&,
                                         const std::array<bool, kMaxRank>&, void*);
template void plain_reduce<Plain::kMax>(const View&, const View&, const std::array<bool, kMaxRank>&,
                                        void*);
template void plain_reduce<Plain::kMin>(const View&, const View&, const std::array<bool, kMaxRank>&,
                                        void*);

std::vector<Op> plain_ops() {
  return {
      {"argmax", &Arg<true>::infer, nullptr, &Arg<true>::eval},
      {"argmin", &Arg<false>::infer, nullptr, &Arg<false>::eval},
      {"any", &Truth<false>::infer, nullptr, &Truth<false>::eval, &Truth<false>::scratch},
      {"all", &Truth<true>::infer, nullptr, &Truth<true>::eval, &Truth<true>::scratch},
  };
}

}  // namespace reduce

std::span<const Op> ops::reduce() {
  static const auto* const all = [] {
    auto* list = new std::vector<Op>(densa::reduce::float_ops());
    for (const Op& op : densa::reduce::plain_ops()) list->push_back(op);
    return list;
  }();
  return *all;
}

}  // namespace densa
