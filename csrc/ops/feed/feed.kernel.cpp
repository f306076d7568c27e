// Compiled once per CPU level. Rows are converted 16 elements at a time, the width of a panel.
#include "ops/feed/feed.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

template <class S>
inline constexpr bool kMayBeNonFinite = false;
template <>
inline constexpr bool kMayBeNonFinite<float> = true;
template <>
inline constexpr bool kMayBeNonFinite<double> = true;

// 16 numbers from x to y. `check` stays zero unless one of them is inf or NaN.
template <class S, class T, bool kAffine>
DENSA_ALWAYS_INLINE void convert16(const S* x, T* y, T scale, T offset, Vec<T>* check) {
  constexpr int kVecs = static_cast<int>(kPanel / kLanes<T>);
  const Vec<T> factor = broadcast(scale), shift = broadcast(offset);
#pragma GCC unroll 8
  for (int i = 0; i < kVecs; ++i) {
    const Vec<T> v = load_as<Vec<T>>(x + i * kLanes<T>);
    if constexpr (kMayBeNonFinite<S>) *check += v * Vec<T>{};
    store(y + i * kLanes<T>, kAffine ? v * factor + shift : v);
  }
}

// The last `count` elements of a row; a panel's padding becomes zero.
template <class S, class T, bool kAffine>
void convert_rest(const S* x, T* y, std::int64_t count, bool pad, T scale, T offset,
                  Vec<T>* check) {
  S part[kPanel] = {};
  T converted[kPanel];
  for (std::int64_t c = 0; c < count; ++c) part[c] = x[c];
  convert16<S, T, kAffine>(part, converted, scale, offset, check);
  for (std::int64_t c = 0; c < count; ++c) y[c] = converted[c];
  if (pad)
    for (std::int64_t c = count; c < kPanel; ++c) y[c] = T(0);
}

// Blocks of 16 rows, panel by panel: each panel's part of a block is one run of memory. (Row by
// row, the writes would be a panel apart, all in a few sets of the first-level cache.)
template <class S, class T, bool kAffine>
std::int64_t gather(const Feed& feed) {
  const auto* data = static_cast<const unsigned char*>(feed.data);
  auto* out = static_cast<T*>(feed.y);
  const T scale = static_cast<T>(feed.scale), offset = static_cast<T>(feed.offset);
  const std::int64_t full = feed.cols / kPanel, rest = feed.cols % kPanel;
  const std::ptrdiff_t row_step = feed.panels ? kPanel : feed.stride;
  const std::ptrdiff_t step = feed.panels ? feed.stride : kPanel;
  const auto row_at = [&](std::int64_t r) {
    const std::int64_t at = feed.first + r;
    return reinterpret_cast<const S*>(data + (feed.order != nullptr ? feed.order[at] : at) *
                                                 feed.row_bytes);
  };
  std::int64_t bad_row = -1;
  const S* x[kPanel];
  for (std::int64_t r = feed.row_begin; r < feed.row_end; r += kPanel) {
    const std::int64_t rows = feed.row_end - r < kPanel ? feed.row_end - r : kPanel;
    for (std::int64_t i = 0; i < rows; ++i) x[i] = row_at(r + i);
    T* y = out + r * row_step;
    Vec<T> check[kPanel] = {};
    for (std::int64_t p = 0; p < full; ++p)
      for (std::int64_t i = 0; i < rows; ++i)
        convert16<S, T, kAffine>(x[i] + p * kPanel, y + p * step + i * row_step, scale, offset,
                                 &check[i]);
    if (rest > 0)
      for (std::int64_t i = 0; i < rows; ++i)
        convert_rest<S, T, kAffine>(x[i] + full * kPanel, y + full * step + i * row_step, rest,
                                    feed.panels, scale, offset, &check[i]);
    if constexpr (kMayBeNonFinite<S>)
      for (std::int64_t i = 0; i < rows && bad_row < 0; ++i)
        if (!(sum(check[i]) == T(0))) bad_row = r + i;
  }
  return bad_row;
}

template <class S, class T>
std::int64_t feed_rows(const Feed& feed) {
  return feed.affine ? gather<S, T, true>(feed) : gather<S, T, false>(feed);
}

// In the order of DType (feed.cpp checks the count); a bool is a byte that is 0 or 1.
template <class T>
constexpr FeedFn kOf[] = {
    &feed_rows<std::uint8_t, T>,  &feed_rows<std::int8_t, T>,   &feed_rows<std::int16_t, T>,
    &feed_rows<std::int32_t, T>,  &feed_rows<std::int64_t, T>,  &feed_rows<std::uint8_t, T>,
    &feed_rows<std::uint16_t, T>, &feed_rows<std::uint32_t, T>, &feed_rows<std::uint64_t, T>,
    &feed_rows<float, T>,         &feed_rows<double, T>};

}  // namespace

extern const FeedKernels feed_table;
constinit const FeedKernels feed_table = {kOf<float>, kOf<double>};

}  // namespace densa
