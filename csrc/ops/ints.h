// Whole numbers of an attribute, read where they are: evaluation allocates nothing.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "ops/op.h"

namespace densa {

// Those of get_ints(name), as long as the attributes live.
inline std::span<const std::int64_t> ints_of(const Attrs& attrs, std::string_view name) {
  for (const auto& [key, value] : attrs.items()) {
    if (key != name) continue;
    if (const auto* ints = std::get_if<Ints>(&value)) return *ints;
    if (const auto* one = std::get_if<std::int64_t>(&value)) return {one, 1};
    attrs.get_ints(name);  // says what is wrong
  }
  return {};
}

}  // namespace densa
