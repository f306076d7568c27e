// One accumulation for rows and columns: a sequence of 16-lane groups, in blocks, pairwise.
#include "ops/reduce/reduce.h"

#include "ops/reduce/formula.h"
#include "simd/group.h"

namespace densa::inline DENSA_ISA {
namespace {

inline constexpr std::size_t kBlock = 64;
inline constexpr std::size_t kGroup = static_cast<std::size_t>(kPanel);

// Fetch(i) is group i of the sequence, 0 <= i < count.
template <class T, class Fold, class Fetch>
DENSA_ALWAYS_INLINE Group<T> accumulate(std::size_t count, const Fetch& fetch) {
  Group<T> stack[48];
  std::size_t top = 0, block = 0;
  for (std::size_t i = 0; i < count; ++block) {
    const std::size_t end = count - i < kBlock ? count : i + kBlock;
    Group<T> sum = fetch(i);
    for (++i; i < end; ++i) sum = map_group(sum, fetch(i), &Fold::template of<Vec<T>>);
    for (std::size_t carry = block; carry & 1; carry >>= 1)
      sum = map_group(stack[--top], sum, &Fold::template of<Vec<T>>);
    stack[top++] = sum;
  }
  Group<T> total = stack[--top];
  while (top > 0) total = map_group(stack[--top], total, &Fold::template of<Vec<T>>);
  return total;
}

template <class T, class Fold, class Map>
void reduce_rows(T* dst, const T* src, std::ptrdiff_t row, std::size_t rows, std::size_t cols,
                 const T* shift) {
  const std::size_t whole = cols / kGroup, rest = cols % kGroup;
  for (std::size_t r = 0; r < rows; ++r) {
    const T* x = src + static_cast<std::ptrdiff_t>(r) * row;
    const Vec<T> s = broadcast(Map::kShift ? shift[r] : T{0});
    const auto fetch = [&](std::size_t i) __attribute__((always_inline)) {
      const auto map = [&](Vec<T> v) __attribute__((always_inline)) { return Map::of(v, s); };
      if (i < whole) return map_group(load_group(x + i * kGroup), map);
      return keep_lanes(map_group(load_group(x + i * kGroup, rest), map), rest,
                        static_cast<T>(Fold::kNeutral));
    };
    dst[r] = fold_group<Fold>(accumulate<T, Fold>(whole + (rest > 0), fetch));
  }
}

template <class T, class Fold, class Map>
void reduce_columns(T* dst, const T* src, std::ptrdiff_t row, std::size_t rows, std::size_t cols,
                    const T* shift) {
  for (std::size_t c = 0; c < cols; c += kGroup) {
    const std::size_t n = cols - c < kGroup ? cols - c : kGroup;
    const auto run = [&](const auto& load_row) __attribute__((always_inline)) {
      const Group<T> s = Map::kShift ? load_group(shift + c, n) : fill_group(T{0});
      const auto fetch = [&](std::size_t r) __attribute__((always_inline)) {
        return map_group(load_row(src + static_cast<std::ptrdiff_t>(r) * row + c), s,
                         &Map::template of<Vec<T>>);
      };
      store_group(dst + c, accumulate<T, Fold>(rows, fetch), n);
    };
    if (n == kGroup) {
      run([](const T* p) __attribute__((always_inline)) { return load_group(p); });
    } else {
      run([n](const T* p) __attribute__((always_inline)) { return load_group(p, n); });
    }
  }
}

template <class T, class Fold, class Map>
constexpr ReduceFns<T> both() {
  return {&reduce_rows<T, Fold, Map>, &reduce_columns<T, Fold, Map>};
}

}  // namespace

#define DENSA_FNS(T)                                                                    \
  {                                                                                     \
    both<T, Add, Itself>(), both<T, Multiply, Itself>(), both<T, Larger, Itself>(),     \
        both<T, Smaller, Itself>(), both<T, Add, SquareFrom>(), both<T, Add, ExpFrom>() \
  }
extern const ReduceTable reduce_kernels;
constinit const ReduceTable reduce_kernels = {DENSA_FNS(float), DENSA_FNS(double)};

}  // namespace densa::inline DENSA_ISA
