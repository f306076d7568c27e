// The weight gradient and the optimizer step, block by block.
#include "ops/dense/dense.h"
#include "ops/optimizer/optimizer.h"

namespace densa {
namespace {

// A block of dw is 64 x 32 numbers: with the block's share of w and of up to three slots it stays
// in a 48 KB first-level cache.
constexpr std::int64_t kBlockK = 64;
constexpr std::int64_t kBlockPanels = 3;  // two, or the last three

}  // namespace

template <class T>
void dw_update(const DenseDwUpdate<T>& call) {
  alignas(64) T block[kBlockPanels * kBlockK * kPanel];
  const DenseKernels<T>& kernels = dense_kernels<T>();
  DenseDw<T> dw{};
  dw.x = call.x;
  dw.dy = call.dy;
  dw.dw = {block, kBlockK * kPanel};
  dw.rows = call.rows;
  dw.out = call.out;
  T* slots[kMaxSlots] = {};
  for (std::int64_t p = call.first_panel; p < call.last_panel; p = dw.last_panel) {
    const std::int64_t left = call.last_panel - p;
    dw.first_panel = p;
    dw.last_panel = p + (left <= kBlockPanels ? left : 2);
    for (std::int64_t k = call.k_begin; k < call.k_end; k += kBlockK) {
      dw.k_begin = k;
      dw.k_end = k + kBlockK < call.k_end ? k + kBlockK : call.k_end;
      kernels.dw(dw);
      for (std::int64_t q = p; q < dw.last_panel; ++q) {
        const std::ptrdiff_t at = q * call.w.stride + k * kPanel;
        for (int i = 0; i < call.slot_count; ++i) slots[i] = call.slots[i] + at;
        call.step(call.w.data + at, dw.dw.panel(q - p), slots, (dw.k_end - k) * kPanel,
                  *call.numbers);
      }
    }
  }
}

template <class T>
void db_update(const DenseDbUpdate<T>& call) {
  alignas(64) T block[kPanel];
  const DenseKernels<T>& kernels = dense_kernels<T>();
  T* slots[kMaxSlots] = {};
  for (std::int64_t p = call.first_panel; p < call.last_panel; ++p) {
    DenseDb<T> db{};
    db.dy = {call.dy.panel(p), call.dy.stride};
    db.db = block;
    db.rows = call.rows;
    db.out = call.out - p * kPanel;
    db.last_panel = 1;
    kernels.db(db);
    for (int i = 0; i < call.slot_count; ++i) slots[i] = call.slots[i] + p * kPanel;
    call.step(call.b + p * kPanel, block, slots, kPanel, *call.numbers);
  }
}

template void dw_update<float>(const DenseDwUpdate<float>&);
template void dw_update<double>(const DenseDwUpdate<double>&);
template void db_update<float>(const DenseDbUpdate<float>&);
template void db_update<double>(const DenseDbUpdate<double>&);

}  // namespace densa
