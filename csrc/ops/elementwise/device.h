// How the .cu files of this folder share one list of evaluations.
#pragma once
#include <span>

#include "ops/backend.h"

namespace densa::elementwise {

std::span<const DeviceOp> plain_device_ops();

constexpr DeviceOp strided(const char* name, void (*eval)(const DeviceCall&)) {
  return {.name = name, .eval = eval, .any_strides = true};
}
// One whose operands and results may lie in 16 bits.
constexpr DeviceOp of_any_float(const char* name, void (*eval)(const DeviceCall&)) {
  return {.name = name, .eval = eval, .any_strides = true, .half_in = ~0u, .half_out = ~0u};
}

}  // namespace densa::elementwise
