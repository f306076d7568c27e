// Labels from memory whose type is known by its DType. For ordinary code: kernels know no DType.
#pragma once
#include "base/dtype.h"
#include "ops/loss/loss.h"

namespace densa {

inline Labels labels_of(const void* data, DType dtype) {
  const bool is_signed = dtype == DType::kInt8 || dtype == DType::kInt16 ||
                         dtype == DType::kInt32 || dtype == DType::kInt64;
  return {data, static_cast<int>(item_size(dtype)), is_signed};
}

}  // namespace densa
