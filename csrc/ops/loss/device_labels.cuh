// Labels (ops/loss/loss.h) in a GPU's memory.
#pragma once
#include "cuda/kernel.h"
#include "ops/loss/labels.h"
#include "ops/op.h"

namespace densa::inline DENSA_ISA {

struct DeviceLabels {
  int bytes = 0;
  bool is_signed = true;
  Global<const std::uint8_t> one;
  Global<const std::uint16_t> two;
  Global<const std::uint32_t> four;
  Global<const std::int64_t> eight;

  static DeviceLabels of(const View& view) {
    const Labels labels = labels_of(view.data, view.dtype);
    DeviceLabels out;
    out.bytes = labels.bytes;
    out.is_signed = labels.is_signed;
    out.one = Global<const std::uint8_t>(view.as<const std::uint8_t>());
    out.two = Global<const std::uint16_t>(view.as<const std::uint16_t>());
    out.four = Global<const std::uint32_t>(view.as<const std::uint32_t>());
    out.eight = Global<const std::int64_t>(view.as<const std::int64_t>());
    return out;
  }
  __device__ std::int64_t at(std::int64_t i) const {
    switch (bytes) {
      case 1: return is_signed ? static_cast<std::int8_t>(one[i]) : std::int64_t{one[i]};
      case 2: return is_signed ? static_cast<std::int16_t>(two[i]) : std::int64_t{two[i]};
      case 4: return is_signed ? static_cast<std::int32_t>(four[i]) : std::int64_t{four[i]};
      default: return eight[i];
    }
  }
};

}  // namespace densa::inline DENSA_ISA
