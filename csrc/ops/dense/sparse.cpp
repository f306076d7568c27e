#include "ops/dense/sparse.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "ops/dense/sparse_weights.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(SparseKernels, sparse_f32)

const SparseKernels& sparse_kernels() { return *pick_sparse_f32(); }

namespace {

// Calls use(panel, k, block) for each block that holds a number other than zero, in order.
template <class F>
void each_block(const Panels<const float>& w, std::int64_t in, std::int64_t out, const F& use) {
  for (std::int64_t p = 0; p < panel_count(out); ++p)
    for (std::int64_t k = 0; k < in; ++k) {
      const float* const block = w.panel(p) + k * kPanel;
      if (std::any_of(block, block + kPanel, [](float number) { return number != 0; }))
        use(p, k, block);
    }
}

}  // namespace

std::int64_t sparse_blocks(const Panels<const float>& w, std::int64_t in, std::int64_t out) {
  std::int64_t blocks = 0;
  each_block(w, in, out, [&](std::int64_t, std::int64_t, const float*) { ++blocks; });
  return blocks;
}

void sparse_pack(std::byte* to, const Panels<const float>& w, std::int64_t in, std::int64_t out) {
  std::vector<std::uint32_t> starts(static_cast<std::size_t>(panel_count(out) + 1)), index;
  each_block(w, in, out, [&](std::int64_t p, std::int64_t k, const float* block) {
    std::memcpy(to + index.size() * kPanel * sizeof(float), block, kPanel * sizeof(float));
    index.push_back(static_cast<std::uint32_t>(k));
    starts[static_cast<std::size_t>(p + 1)] = static_cast<std::uint32_t>(index.size());
  });
  for (std::size_t p = 1; p < starts.size(); ++p) starts[p] = std::max(starts[p], starts[p - 1]);
  const SparseParts parts = sparse_parts(static_cast<std::int64_t>(index.size()), out);
  std::memcpy(to + parts.starts, starts.data(), starts.size() * sizeof(std::uint32_t));
  if (!index.empty())
    std::memcpy(to + parts.index, index.data(), index.size() * sizeof(std::uint32_t));
}

SparseIndex sparse_index(const std::byte* w, std::int64_t blocks, std::int64_t in,
                         std::int64_t out) {
  const SparseParts parts = sparse_parts(blocks, out);
  SparseIndex made{std::vector<std::uint32_t>(static_cast<std::size_t>(panel_count(out) + 1)),
                   std::vector<std::uint32_t>(static_cast<std::size_t>(blocks))};
  std::memcpy(made.starts.data(), w + parts.starts, made.starts.size() * sizeof(std::uint32_t));
  if (blocks > 0)
    std::memcpy(made.index.data(), w + parts.index, made.index.size() * sizeof(std::uint32_t));
  if (made.starts.front() != 0 || made.starts.back() != blocks)
    throw ValueError(cat("sparse weights: the panels begin at block ", made.starts.front(),
                         " and end at ", made.starts.back(), " of ", blocks));
  for (std::size_t p = 0; p + 1 < made.starts.size(); ++p) {
    const std::int64_t begin = made.starts[p], end = made.starts[p + 1];
    if (begin > end || end > blocks)
      throw ValueError(cat("sparse weights: panel ", p, " has blocks ", begin, " to ", end));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t k = made.index[static_cast<std::size_t>(i)];
      if (k >= in || (i > begin && k <= made.index[static_cast<std::size_t>(i - 1)]))
        throw ValueError(cat("sparse weights: block ", i, " is of row ", k, " of ", in,
                             ", out of range or order"));
    }
  }
  return made;
}

}  // namespace densa
