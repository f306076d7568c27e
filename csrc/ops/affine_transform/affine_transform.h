// What affine_transform's attributes say.
#pragma once
#include <string>

#include "ops/affine_transform/formula.h"
#include "ops/op.h"

namespace densa::affine {

inline bool channels_first(const Attrs& attrs) { return attrs.get_bool("channels_first", false); }

inline Fill fill_of(const Attrs& attrs) {
  const std::string name = attrs.get_string("fill_mode", "reflect");
  if (name == "constant") return Fill::kConstant;
  if (name == "nearest") return Fill::kNearest;
  if (name == "wrap") return Fill::kWrap;
  if (name == "reflect") return Fill::kReflect;
  throw ValueError(cat("affine_transform: fill_mode must be 'constant', 'nearest', 'wrap' or ",
                       "'reflect' but is '", name, "'"));
}

inline bool bilinear(const Attrs& attrs) {
  const std::string name = attrs.get_string("interpolation", "bilinear");
  if (name != "bilinear" && name != "nearest")
    throw ValueError(
        cat("affine_transform: interpolation must be 'bilinear' or 'nearest' but is '", name, "'"));
  return name == "bilinear";
}

// For images of shape `x`, (n, height, width, channels) or (n, channels, height, width), that
// become those of shape `y`.
inline AffineCall call_of(const Dims& x, const Dims& y, const Attrs& attrs) {
  AffineCall a;
  a.channels_first = channels_first(attrs);
  const int first = a.channels_first ? 2 : 1;
  a.images = x[0];
  a.channels = x[a.channels_first ? 1 : 3];
  a.height = static_cast<std::int32_t>(x[first]);
  a.width = static_cast<std::int32_t>(x[first + 1]);
  a.new_height = static_cast<std::int32_t>(y[first]);
  a.new_width = static_cast<std::int32_t>(y[first + 1]);
  a.fill = fill_of(attrs);
  a.fill_value = attrs.get_double("fill_value", 0);
  return a;
}

}  // namespace densa::affine
