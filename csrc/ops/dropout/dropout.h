// Dropout: y = x / (1 - rate) where the mask keeps x, else 0.
//
// The mask is addressed by element, not drawn: with i the row-major index of an element,
//   word = philox(philox_key(seed, stream), step, i / 4).word[i % 4],
// kept where word >= round(rate 2^32). So forward, backward, any layout and any split over threads
// see one mask, and nothing is stored. Results have the same bits on every CPU level.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/panel.h"

namespace densa {

// Rows [row_begin, row_end) of the panels [first_panel, last_panel) of a matrix. Padding stays zero
// where x has zeros.
template <class T>
struct DropoutPanels {
  Panels<const T> x;
  Panels<T> y;  // may be x
  std::int64_t cols = 0;
  std::int64_t row_begin = 0, row_end = 0;
  std::int64_t first_panel = 0, last_panel = 0;
  double rate = 0;
  std::uint64_t seed = 0, stream = 0, step = 0;
};

// Elements [begin, end) of a row-major array; begin is a multiple of kDropoutBlock.
template <class T>
struct DropoutRun {
  const T* x = nullptr;  // element 0
  T* y = nullptr;        // may be x
  std::int64_t begin = 0, end = 0;
  double rate = 0;
  std::uint64_t seed = 0, stream = 0, step = 0;
};
inline constexpr std::int64_t kDropoutBlock = 64;

struct DropoutKernels {
  void (*panels_f32)(const DropoutPanels<float>&);
  void (*panels_f64)(const DropoutPanels<double>&);
  void (*run_f32)(const DropoutRun<float>&);
  void (*run_f64)(const DropoutRun<double>&);
};

void dropout(const DropoutPanels<float>& call);
void dropout(const DropoutPanels<double>& call);
void dropout(const DropoutRun<float>& call);
void dropout(const DropoutRun<double>& call);

}  // namespace densa
