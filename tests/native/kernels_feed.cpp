// Feed kernels of every CPU level against plain loops: every source type, affine or not, panels and
// row-major, shuffled or not, part of a batch, numbers that are not finite. Results are exact: a
// cast, a product and a sum, each rounded once in the type of y.
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernel_levels.h"
#include "matrices.h"
#include "ops/feed/feed.h"

DENSA_DECLARE_TABLES(extern const FeedKernels feed_table;)

namespace {

using namespace densa;

template <class T>
FeedFn kernel(const FeedKernels& table, int source) {
  return (sizeof(T) == sizeof(float) ? table.to_f32 : table.to_f64)[source];
}

struct Shape {
  std::int64_t cols;
  bool panels, affine, shuffled;
};

// Small and extreme numbers of S alike.
template <class S>
S number(std::mt19937& random) {
  if constexpr (std::numeric_limits<S>::is_integer) {
    const std::uint64_t bits = (std::uint64_t{random()} << 32 | random()) >> (random() % 64);
    return static_cast<S>(random() % 2 ? bits : ~bits);
  } else {
    return static_cast<S>(std::normal_distribution<double>(0, 3)(random));
  }
}

// Five of the nine rows that a source of twelve offers from position 2 on.
template <class S, class T>
void check_shape(const char* level, const FeedKernels& table, int source, const Shape& s) {
  constexpr std::int64_t kSource = 12, kFirst = 2, kBatch = 9, kBegin = 1, kEnd = 6;
  std::mt19937 random(static_cast<unsigned>(s.cols));
  Exact<S> x(kSource * s.cols);
  for (std::int64_t i = 0; i < x.size; ++i)
    x[i] = source == 0 ? static_cast<S>(random() % 2) : number<S>(random);
  Exact<std::int64_t> order(kFirst + kBatch);
  for (std::int64_t i = 0; i < order.size; ++i) order[i] = (i * 5 + 11) % kSource;
  Matrix<T> y(kBatch, s.cols, s.panels);
  Feed feed;
  feed.data = x.get();
  feed.row_bytes = s.cols * static_cast<std::ptrdiff_t>(sizeof(S));
  feed.order = s.shuffled ? order.get() : nullptr;
  feed.first = kFirst;
  feed.row_begin = kBegin;
  feed.row_end = kEnd;
  feed.cols = s.cols;
  feed.y = y.data.get();
  feed.stride = s.panels ? y.stride : s.cols;
  feed.panels = s.panels;
  feed.affine = s.affine;
  if (s.affine) feed.scale = 1.0 / 255, feed.offset = -0.3;
  const auto scale = static_cast<T>(feed.scale), offset = static_cast<T>(feed.offset);
  const auto want = [&](std::int64_t r, std::int64_t c) {
    const std::int64_t row = s.shuffled ? order[kFirst + r] : kFirst + r;
    const volatile T product = static_cast<T>(x[row * s.cols + c]) * scale;
    return s.affine ? product + offset : static_cast<T>(x[row * s.cols + c]);
  };
  const auto where = [&] {
    std::printf("%s: source type %d to %zu bytes, cols %lld, panels %d, affine %d, shuffled %d\n",
                level, source, sizeof(T), static_cast<long long>(s.cols), s.panels, s.affine,
                s.shuffled);
  };
  const int before = failures;
  CHECK(kernel<T>(table, source)(feed) == -1, "all numbers are finite");
  for (std::int64_t r = 0; r < kBatch; ++r)
    for (std::int64_t c = 0; c < (s.panels ? padded(s.cols) : s.cols); ++c) {
      const bool gathered = r >= kBegin && r < kEnd;
      const T expected = !gathered ? y.kGarbage : c < s.cols ? want(r, c) : T(0);
      CHECK(y.at(r, c) == expected, "row %lld, column %lld: %.17g for %.17g",
            static_cast<long long>(r), static_cast<long long>(c), double(y.at(r, c)),
            double(expected));
    }
  CHECK(y.intact(), "wrote past the end");
  if constexpr (!std::numeric_limits<S>::is_integer) {
    // Every column is looked at, and the first bad row of the batch is the answer.
    const S infinity = std::numeric_limits<S>::infinity();
    for (std::int64_t c = 0; c < s.cols; ++c)
      for (S bad : {infinity, -infinity, std::numeric_limits<S>::quiet_NaN()})
        for (std::int64_t r : {kBegin, kEnd - 1, kEnd}) {  // kEnd is not gathered
          S* at = x.get() + (s.shuffled ? order[kFirst + r] : kFirst + r) * s.cols + c;
          S* later = x.get() + (s.shuffled ? order[kFirst + kEnd - 1] : kFirst + kEnd - 1) * s.cols;
          const S kept = *at, kept_later = *later;
          *at = bad;
          CHECK(kernel<T>(table, source)(feed) == (r < kEnd ? r : -1), "one bad number");
          *later = bad;
          CHECK(kernel<T>(table, source)(feed) == (r < kEnd ? r : kEnd - 1), "the first bad row");
          *later = kept_later;
          *at = kept;
        }
  }
  if (failures != before) where();
}

template <class S, class T>
void shapes(const char* level, const FeedKernels& table, int source) {
  for (std::int64_t cols : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40})
    for (bool panels : {false, true})
      for (bool affine : {false, true})
        for (bool shuffled : {false, true})
          check_shape<S, T>(level, table, source, {cols, panels, affine, shuffled});
}

template <class S>
void both(const char* level, const FeedKernels& table, int source) {
  shapes<S, float>(level, table, source);
  shapes<S, double>(level, table, source);
}

// What does not fit into y's type arrives as inf there, and is told.
void too_large(const char* level, const FeedKernels& table) {
  const double x[] = {1, -1e300};
  Feed feed;
  feed.data = x;
  feed.row_bytes = sizeof(double);
  feed.row_end = 2;
  feed.cols = 1;
  float y32[2];
  double y64[2];
  feed.stride = 1;
  feed.y = y32;
  CHECK(table.to_f32[10](feed) == 1, "%s: -1e300 as float", level);
  CHECK(y32[1] == -std::numeric_limits<float>::infinity(), "%s: -1e300 as float", level);
  feed.y = y64;
  CHECK(table.to_f64[10](feed) == -1 && y64[1] == -1e300, "%s: -1e300 as double", level);
}

void every_source(const char* level, const FeedKernels& table) {
  both<std::uint8_t>(level, table, 0);  // bool: a byte that is 0 or 1
  both<std::int8_t>(level, table, 1);
  both<std::int16_t>(level, table, 2);
  both<std::int32_t>(level, table, 3);
  both<std::int64_t>(level, table, 4);
  both<std::uint8_t>(level, table, 5);
  both<std::uint16_t>(level, table, 6);
  both<std::uint32_t>(level, table, 7);
  both<std::uint64_t>(level, table, 8);
  both<float>(level, table, 9);
  both<double>(level, table, 10);
  too_large(level, table);
}

}  // namespace

int main() {
#define DENSA_RUN(level)                            \
  {                                                 \
    std::printf("%s\n", #level);                    \
    every_source(#level, densa::level::feed_table); \
  }
  DENSA_EACH_LEVEL(DENSA_RUN)
  std::printf(failures == 0 ? "passed\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
