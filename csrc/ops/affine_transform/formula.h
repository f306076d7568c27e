// Where an affine map of an image reads, once for all devices.
//
// Row (a, b, c, d, e, f) of the transform sends pixel (x, y) of the output to (a x + b y + c,
// d x + e y + f) of the input. "bilinear" weighs the four pixels around that, "nearest" takes the
// one at its rounded place. Pixels beyond the input: "constant" has a number there, "nearest" the
// edge, "wrap" begins again, "reflect" mirrors with the edge twice (d c b a | a b c d | d c b a).
#pragma once
#include <cstdint>

#include "base/pod.h"

namespace densa {

enum class Fill : std::uint8_t { kConstant, kNearest, kWrap, kReflect };

struct AffineCall {
  std::int64_t images = 0, channels = 0;
  std::int32_t height = 0, width = 0;          // of the input
  std::int32_t new_height = 0, new_width = 0;  // of the output
  bool channels_first = false;
  Fill fill = Fill::kReflect;
  double fill_value = 0;

  DENSA_HD std::int64_t pixel_step() const { return channels_first ? 1 : channels; }
  DENSA_HD std::int64_t channel_step(std::int64_t pixels) const {
    return channels_first ? pixels : 1;
  }
  DENSA_HD std::int64_t pixels() const { return std::int64_t{height} * width; }
  DENSA_HD std::int64_t new_pixels() const { return std::int64_t{new_height} * new_width; }
};

// The pixels that one output pixel is made of: -1 where the number of "constant" stands.
template <class T, bool kBilinear>
struct Taps {
  static constexpr int kCount = kBilinear ? 4 : 1;
  std::int64_t at[kCount];
  T weight[kCount];
};

// Place i of a line of n pixels, -1 for a pixel that is not there.
DENSA_ALWAYS_INLINE std::int32_t inside(std::int32_t i, std::int32_t n, Fill fill) {
  if (i >= 0 && i < n) return i;
  if (fill == Fill::kConstant) return -1;
  if (fill == Fill::kNearest) return i < 0 ? 0 : n - 1;
  const std::int32_t period = fill == Fill::kWrap ? n : 2 * n;
  std::int32_t rest = i % period;
  if (rest < 0) rest += period;
  return rest < n ? rest : period - 1 - rest;
}

// Far away is as good as further away, and fits an int32; so does NaN.
template <class T>
DENSA_ALWAYS_INLINE T limited(T x) {
  constexpr T kFar = T(1 << 29);
  return !(x < kFar) ? kFar : x > -kFar ? x : -kFar;
}

template <class T>
DENSA_ALWAYS_INLINE std::int32_t floor_of(T x) {  // of a limited number
  const auto i = static_cast<std::int32_t>(x);
  return i - static_cast<std::int32_t>(static_cast<T>(i) > x);
}

// What a row of the output has in common.
template <class T>
struct AffineLine {
  T across, down;  // how far one pixel to the right moves
  T column, row;   // where the first one is read
};

template <class T>
DENSA_ALWAYS_INLINE AffineLine<T> line_of(const T* m, std::int32_t y) {
  return {m[0], m[3], m[1] * T(y) + m[2], m[4] * T(y) + m[5]};
}

template <bool kBilinear, class T>
DENSA_ALWAYS_INLINE Taps<T, kBilinear> taps_of(const AffineCall& call, const AffineLine<T>& line,
                                               std::int32_t x) {
  const T sx = limited(line.across * T(x) + line.column);
  const T sy = limited(line.down * T(x) + line.row);
  Taps<T, kBilinear> taps;
  if constexpr (!kBilinear) {
    const std::int32_t row = inside(floor_of(sy + T(0.5)), call.height, call.fill);
    const std::int32_t column = inside(floor_of(sx + T(0.5)), call.width, call.fill);
    taps.weight[0] = T(1);
    taps.at[0] = row < 0 || column < 0 ? -1 : std::int64_t{row} * call.width + column;
    return taps;
  } else {
    const std::int32_t column = floor_of(sx), row = floor_of(sy);
    const T right = sx - T(column), low = sy - T(row);
    taps.weight[0] = (T(1) - low) * (T(1) - right);
    taps.weight[1] = (T(1) - low) * right;
    taps.weight[2] = low * (T(1) - right);
    taps.weight[3] = low * right;
    if (column >= 0 && row >= 0 && column + 1 < call.width && row + 1 < call.height) {
      taps.at[0] = std::int64_t{row} * call.width + column;
      taps.at[1] = taps.at[0] + 1;
      taps.at[2] = taps.at[0] + call.width;
      taps.at[3] = taps.at[2] + 1;
      return taps;
    }
    const std::int32_t columns[2] = {inside(column, call.width, call.fill),
                                     inside(column + 1, call.width, call.fill)};
    const std::int32_t rows[2] = {inside(row, call.height, call.fill),
                                  inside(row + 1, call.height, call.fill)};
    for (int k = 0; k < 4; ++k)
      taps.at[k] = rows[k / 2] < 0 || columns[k % 2] < 0
                       ? -1
                       : std::int64_t{rows[k / 2]} * call.width + columns[k % 2];
    return taps;
  }
}

}  // namespace densa
