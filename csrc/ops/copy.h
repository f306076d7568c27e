// Copying strided elements of any dtype: what moves data without looking at it needs only its size.
#pragma once
#include <cstdint>

#include "ops/op.h"
#include "ops/walk.h"

namespace densa {

// Calls f(Word{}) with the unsigned integer that has the size of `dtype`.
template <class F>
void visit_word(DType dtype, const F& f) {
  switch (item_size(dtype)) {
    case 1: return f(std::uint8_t{});
    case 2: return f(std::uint16_t{});
    case 4: return f(std::uint32_t{});
    default: return f(std::uint64_t{});
  }
}

// dst[index . dst_strides] = src[index . src_strides] for every index of `shape`.
inline void copy_strided(DType dtype, const Dims& shape, void* dst, const Dims& dst_strides,
                         const void* src, const Dims& src_strides) {
  const Walk<2> walk(shape, {dst_strides, src_strides});
  visit_word(dtype, [&](auto zero) {
    using Word = decltype(zero);
    const auto* from = static_cast<const Word*>(src);
    auto* to = static_cast<Word*>(dst);
    const std::int64_t a = walk.step(0), b = walk.step(1);
    walk.run([&](const Walk<2>::Offsets& at, std::int64_t n) {
      if (a == 1 && b == 1) {
        __builtin_memcpy(to + at[0], from + at[1], static_cast<std::size_t>(n) * sizeof(Word));
        return;
      }
      for (std::int64_t i = 0; i < n; ++i) to[at[0] + i * a] = from[at[1] + i * b];
    });
  });
}

}  // namespace densa
