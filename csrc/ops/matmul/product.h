// Products of strided matrices on the panel kernels: packed into scratch, multiplied, unpacked.
#pragma once
#include <cstddef>
#include <cstdint>

namespace densa {

template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0, cols = 0;
  std::ptrdiff_t row_stride = 0, col_stride = 1;
};

// Runs on n results that lie side by side, in place, before they are unpacked (an activation).
template <class T>
struct Epilogue {
  void (*run)(const void* context, T* y, std::int64_t n) = nullptr;
  const void* context = nullptr;
};

// Scratch bytes that one product needs, wherever it runs.
std::size_t product_scratch(std::int64_t rows, std::int64_t in, std::int64_t out,
                            std::size_t item_size);

// y = epilogue(x * w + b), x (rows, in), w (in, out), b (out) with its stride or null. Uses threads
// when the work is large and `threads` allows it; the bits do not depend on that.
template <class T>
void product(MatrixView<const T> x, MatrixView<const T> w, const T* b, std::ptrdiff_t b_stride,
             MatrixView<T> y, void* scratch, bool threads = true, Epilogue<T> epilogue = {});

}  // namespace densa
