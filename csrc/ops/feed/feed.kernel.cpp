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

template <class S, class T, bool kAffine>
std::int64_t gather(const Feed& feed) {
  constexpr std::int64_t kAhead = 4;
  const auto* data = static_cast<const unsigned char*>(feed.data);
  auto* out = static_cast<T*>(feed.y);
  const T scale = static_cast<T>(feed.scale), offset = static_cast<T>(feed.offset);
  const std::int64_t full = feed.cols / kPanel, rest = feed.cols % kPanel;
  std::int64_t bad_row = -1;
  for (std::int64_t r = feed.row_begin; r < feed.row_end; ++r) {
    const std::int64_t at = feed.first + r;
    const auto* x = reinterpret_cast<const S*>(
        data + (feed.order != nullptr ? feed.order[at] : at) * feed.row_bytes);
    if (feed.order != nullptr && r + kAhead < feed.ahead) {
      const unsigned char* next = data + feed.order[at + kAhead] * feed.row_bytes;
      const auto bytes = feed.cols * static_cast<std::int64_t>(sizeof(S));
      for (std::int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(next + b);
    }
    Vec<T> check{};
    T* y = out + (feed.panels ? r * kPanel : r * feed.stride);
    const std::ptrdiff_t step = feed.panels ? feed.stride : kPanel;
    for (std::int64_t p = 0; p < full; ++p)
      convert16<S, T, kAffine>(x + p * kPanel, y + p * step, scale, offset, &check);
    if (rest > 0) {
      S part[16] = {};
      T converted[16];
      for (std::int64_t c = 0; c < rest; ++c) part[c] = x[full * kPanel + c];
      convert16<S, T, kAffine>(part, converted, scale, offset, &check);
      for (std::int64_t c = 0; c < rest; ++c) y[full * step + c] = converted[c];
      if (feed.panels)
        for (std::int64_t c = rest; c < kPanel; ++c) y[full * step + c] = T(0);
    }
    if constexpr (kMayBeNonFinite<S>) {
      if (!(sum(check) == T(0)) && bad_row < 0) bad_row = r;
    }
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
