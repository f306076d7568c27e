// Block-sparse weights in memory and in files; ops/dense/sparse.h says what they are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/panel.h"

namespace densa {

// Bytes of w: the blocks; behind them `starts` and `index`, little-endian.
struct SparseParts {
  std::int64_t starts, index, bytes;  // where the parts begin, and the end
};
constexpr SparseParts sparse_parts(std::int64_t blocks, std::int64_t out) {
  const std::int64_t starts = blocks * kPanel * 4, index = starts + (panel_count(out) + 1) * 4;
  return {starts, index, index + blocks * 4};
}

// How many blocks of w hold a number other than zero.
std::int64_t sparse_blocks(const Panels<const float>& w, std::int64_t in, std::int64_t out);

// Writes sparse_parts(sparse_blocks(w, in, out), out).bytes.
void sparse_pack(std::byte* to, const Panels<const float>& w, std::int64_t in, std::int64_t out);

// A copy of `starts` and `index`, which no one changes behind the kernels' back. Throws ValueError
// unless they are those of a matrix (in, out) with so many blocks.
struct SparseIndex {
  std::vector<std::uint32_t> starts, index;
};
SparseIndex sparse_index(const std::byte* w, std::int64_t blocks, std::int64_t in,
                         std::int64_t out);

}  // namespace densa
