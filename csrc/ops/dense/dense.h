// The matrix product kernels: what training, inference and the eager ops run on.
//
// Everything is in panel layout (base/panel.h). x (rows, in), w (in, out), y (rows, out); `b` is a
// row of padded(out) numbers. Row-panels are the transposed layout [ceil(rows/16)][cols][16], whose
// lanes are rows: a Panels<T> whose "columns" are the batch's rows.
//
// Bits: every output is one chain of multiply-adds in ascending k (forward), n (dx) or r (dw). The
// tile shape, the row count, the panel range and the blocking never change a result.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

template <class T>
struct StepNumbers;  // ops/optimizer/optimizer.h; only passed on here

// y[r][n] = start + sum over k of x[r][k] * w[k][n], for rows [row_begin, row_end) and panels
// [first_panel, last_panel) of y. Start: y itself if `accumulate`, else b, else 0 (b null).
// x's padding is not read. y's padding columns become start + x * w's padding: zero for finite x.
// Small batches are fastest when one call covers many panels: forward_group says how many.
template <class T>
struct DenseForward {
  Panels<const T> x, w;
  const T* b = nullptr;
  Panels<T> y;
  std::int64_t in = 0;
  std::int64_t row_begin = 0, row_end = 0;
  std::int64_t first_panel = 0, last_panel = 0;
  bool accumulate = false;
};

// dx[r][k] = (dx[r][k] if `add`) + sum over n of dy[r][n] * w[k][n], for all rows and the panels
// [first_panel, last_panel) of dx (columns k < in; padding columns are written zero).
// dyT: dy in row-panels. Neither dyT's nor w's padding is read as data.
template <class T>
struct DenseDx {
  Panels<const T> dyT, w;
  Panels<T> dx;
  std::int64_t rows = 0, in = 0, out = 0;
  std::int64_t first_panel = 0, last_panel = 0;
  bool add = false;
};

// dw[k][n] = (dw[k][n] if `add`) + sum over r of x[r][k] * dy[r][n], for k in [k_begin, k_end) and
// panels [first_panel, last_panel) of out. Panel p, row k goes to
// dw.data + (p - first_panel) * dw.stride + (k - k_begin) * 16: a scratch block, or the place in a
// whole gradient {dw.panel(first_panel) + k_begin * 16, dw.stride}. Padding columns are written
// zero. k_begin must be a multiple of 16.
template <class T>
struct DenseDw {
  Panels<const T> x, dy;
  Panels<T> dw;
  std::int64_t rows = 0, out = 0;
  std::int64_t k_begin = 0, k_end = 0;
  std::int64_t first_panel = 0, last_panel = 0;
  bool add = false;
};

// db[n] = (db[n] if `add`) + sum over r of dy[r][n] for panels [first_panel, last_panel); db is a
// row of padded(out) numbers, its padding is written zero. The order depends on `rows` alone.
template <class T>
struct DenseDb {
  Panels<const T> dy;
  T* db = nullptr;  // of panel 0
  std::int64_t rows = 0, out = 0;
  std::int64_t first_panel = 0, last_panel = 0;
  bool add = false;
};

// y's panels [first_panel, last_panel) to row-panels: yT.panel(r / 16)[n * 16 + r % 16] = y[r][n]
// for n < cols; lanes past `rows` are zero, rows n >= cols of yT are not written.
template <class T>
struct Transpose {
  Panels<const T> y;
  Panels<T> yT;
  std::int64_t rows = 0, cols = 0;
  std::int64_t first_panel = 0, last_panel = 0;
};

// Between any strided matrix and panels. Element (r, c) of the matrix is
// data[r * row_stride + c * col_stride]; rows [row_begin, row_end) go to the same rows of the
// panels. pack writes zero padding, unpack does not read it.
template <class T>
struct Pack {
  const T* data = nullptr;
  std::ptrdiff_t row_stride = 0, col_stride = 1;
  Panels<T> y;
  std::int64_t cols = 0, row_begin = 0, row_end = 0;
};
template <class T>
struct Unpack {
  Panels<const T> x;
  T* data = nullptr;
  std::ptrdiff_t row_stride = 0, col_stride = 1;
  std::int64_t cols = 0, row_begin = 0, row_end = 0;
};

// One CPU level's kernels. None allocates, none uses threads. Panel data must be 64-byte aligned.
template <class T>
struct DenseKernels {
  void (*forward)(const DenseForward<T>&);
  void (*dx)(const DenseDx<T>&);
  void (*dw)(const DenseDw<T>&);
  void (*db)(const DenseDb<T>&);
  void (*transpose)(const Transpose<T>&);
  void (*pack)(const Pack<T>&);
  void (*unpack)(const Unpack<T>&);
  const char* level;
};

// The kernels of this machine's level (T: float or double).
template <class T>
const DenseKernels<T>& dense_kernels();
template <>
const DenseKernels<float>& dense_kernels<float>();
template <>
const DenseKernels<double>& dense_kernels<double>();

// How many panels of y one forward call should cover at least, for full speed at this row count.
std::int64_t forward_group(std::int64_t rows);

// ---- weight gradient and update in one pass
// ------------------------------------------------------

// Computes dw block by block in L1 and hands each block to an optimizer step: the gradient is never
// written to memory. w and every slot have the same layout ([ceil(out/16)][in][16], stride
// w.stride). `step` is an entry of ops/optimizer's table. Same bits as dw followed by one step.
template <class T>
struct DenseDwUpdate {
  Panels<const T> x, dy;
  Panels<T> w;
  T* const* slots = nullptr;  // slots[i] is to slot i what w.data is to w
  int slot_count = 0;
  std::int64_t rows = 0, out = 0;
  std::int64_t k_begin = 0, k_end = 0;  // rows of w; k_begin is a multiple of 16
  std::int64_t first_panel = 0, last_panel = 0;
  void (*step)(T* w, const T* g, T* const* slots, std::ptrdiff_t n,
               const StepNumbers<T>&) = nullptr;
  const StepNumbers<T>* numbers = nullptr;
};
template <class T>
void dw_update(const DenseDwUpdate<T>& call);
// The same for the bias: db, then the step on panels [first_panel, last_panel) of b.
template <class T>
struct DenseDbUpdate {
  Panels<const T> dy;
  T* b = nullptr;
  T* const* slots = nullptr;
  int slot_count = 0;
  std::int64_t rows = 0, out = 0;
  std::int64_t first_panel = 0, last_panel = 0;
  void (*step)(T* w, const T* g, T* const* slots, std::ptrdiff_t n,
               const StepNumbers<T>&) = nullptr;
  const StepNumbers<T>* numbers = nullptr;
};
template <class T>
void db_update(const DenseDbUpdate<T>& call);

}  // namespace densa
