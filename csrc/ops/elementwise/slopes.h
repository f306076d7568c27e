// Which slopes fused kernels on a GPU know of formulas whose slope comes from z; those that come
// from y they know all.
#pragma once
#include <string_view>

namespace densa {

// At no cost.
constexpr bool has_cheap_slope(std::string_view fn) {
  return fn == "leaky_relu" || fn == "relu6" || fn == "hard_sigmoid" || fn == "hard_silu" ||
         fn == "square" || fn == "abs";
}
// Of usual activations, at the cost of a value.
constexpr bool has_usual_slope(std::string_view fn) {
  return fn == "elu" || fn == "gelu" || fn == "gelu_tanh" || fn == "silu";
}

}  // namespace densa
