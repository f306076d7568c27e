// The error of a strict cast.
#pragma once
#include <string>

#include "base/shape.h"

namespace densa::casting {

// Element i of `shape` is x, which does not fit; `what` names the numbers.
template <class From>
[[noreturn]] void throw_misfit(const std::string& what, const Dims& shape, std::int64_t i, From x) {
  throw ValueError(cat(what, " must be whole numbers within the range of integers, but element ", i,
                       " of ", to_string(shape), " is ", +x,
                       ". Replace such values, or drop their rows, first"));
}

}  // namespace densa::casting
