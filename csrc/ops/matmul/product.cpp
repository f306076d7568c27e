#include "ops/matmul/product.h"

#include <algorithm>

#include "base/panel.h"
#include "base/threads.h"
#include "ops/dense/dense.h"

namespace densa {
namespace {

constexpr std::size_t kAlign = 64;
// x and y pass through scratch in blocks of at most this size.
constexpr std::int64_t kBlockBytes = std::int64_t{1} << 24;
constexpr std::int64_t kBlockRows = 2048;
// Work below this many multiply-adds (about 20 us) does not pay for waking a thread.
constexpr std::int64_t kGrain = std::int64_t{1} << 20;
constexpr std::int64_t kPackGrain = std::int64_t{1} << 16;  // numbers

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

std::int64_t block_rows(std::int64_t rows, std::int64_t in, std::int64_t out, std::size_t size) {
  const std::int64_t row_bytes = (padded(in) + padded(out)) * static_cast<std::int64_t>(size);
  const std::int64_t fit = std::max(kBlockBytes / std::max<std::int64_t>(row_bytes, 1), kPanel);
  return std::min(rows, std::min(fit, kBlockRows) / kPanel * kPanel);
}

// Parts that parallel_for should make of `items` items costing `each` units of work.
std::int64_t grain_of(std::int64_t each, std::int64_t grain) {
  return std::max<std::int64_t>(1, grain / std::max<std::int64_t>(each, 1));
}

template <class F>
void split(bool threads, std::int64_t n, std::int64_t grain, const F& body) {
  if (threads) {
    parallel_for(n, grain, body);
  } else if (n > 0) {
    body(std::int64_t{0}, n);
  }
}

}  // namespace

std::size_t product_scratch(std::int64_t rows, std::int64_t in, std::int64_t out,
                            std::size_t item_size) {
  const std::int64_t block = block_rows(rows, in, out, item_size);
  const auto bytes = [&](std::int64_t n) {
    return aligned(static_cast<std::size_t>(n) * item_size);
  };
  return bytes(in * padded(out)) + bytes(padded(out)) + bytes(block * padded(in)) +
         bytes(block * padded(out));
}

template <class T>
void product(MatrixView<const T> x, MatrixView<const T> w, const T* b, std::ptrdiff_t b_stride,
             MatrixView<T> y, void* scratch, bool threads, Epilogue<T> epilogue) {
  const std::int64_t rows = y.rows, in = x.cols, out = y.cols;
  if (rows == 0 || out == 0) return;
  const DenseKernels<T>& kernels = dense_kernels<T>();
  const std::int64_t block = block_rows(rows, in, out, sizeof(T));
  auto* free_bytes = static_cast<std::byte*>(scratch);
  const auto take = [&](std::int64_t n) {
    T* at = reinterpret_cast<T*>(free_bytes);
    free_bytes += aligned(static_cast<std::size_t>(n) * sizeof(T));
    return at;
  };
  const Panels<T> wp{take(in * padded(out)), in * kPanel};
  T* bias = take(padded(out));
  const Panels<T> xp{take(block * padded(in)), block * kPanel};
  const Panels<T> yp{take(block * padded(out)), block * kPanel};

  split(threads, in, grain_of(out, kPackGrain), [&](std::int64_t begin, std::int64_t end) {
    kernels.pack({w.data, w.row_stride, w.col_stride, wp, out, begin, end});
  });
  if (b != nullptr) kernels.pack({b, 0, b_stride, {bias, kPanel}, out, 0, 1});

  const std::int64_t panels = panel_count(out);
  for (std::int64_t first = 0; first < rows; first += block) {
    const std::int64_t here = std::min(block, rows - first);
    const auto pack_x = [&](std::int64_t begin, std::int64_t end) {
      kernels.pack({x.data + first * x.row_stride, x.row_stride, x.col_stride, xp, in, begin, end});
    };
    const auto multiply = [&](std::int64_t begin, std::int64_t end, std::int64_t n,
                              std::int64_t stop) {
      DenseForward<T> call{};
      call.x = {xp.data, xp.stride};
      call.w = {wp.data, wp.stride};
      call.b = b != nullptr ? bias : nullptr;
      call.y = yp;
      call.in = in;
      call.row_begin = begin;
      call.row_end = end;
      const std::int64_t group = epilogue.run == nullptr ? stop - n : forward_group(end - begin);
      for (; n < stop; n = call.last_panel) {
        call.first_panel = n;
        call.last_panel = std::min(n + group, stop);
        kernels.forward(call);
        for (std::int64_t k = n; epilogue.run != nullptr && k < call.last_panel; ++k)
          epilogue.run(epilogue.context, yp.panel(k) + begin * kPanel, (end - begin) * kPanel);
      }
    };
    const auto unpack_y = [&](std::int64_t begin, std::int64_t end) {
      kernels.unpack({{yp.data, yp.stride},
                      y.data + first * y.row_stride,
                      y.row_stride,
                      y.col_stride,
                      out,
                      begin,
                      end});
    };
    // Whole blocks of 16 rows, so that transposed packing stays on its fast path.
    const std::int64_t parts = panel_count(here);
    const std::int64_t work = in * kPanel;  // of one row in one panel
    if (parts < 4 && panels > parts) {
      pack_x(0, here);
      split(threads, panels, grain_of(work * here, kGrain),
            [&](std::int64_t n, std::int64_t stop) { multiply(0, here, n, stop); });
      unpack_y(0, here);
      continue;
    }
    split(threads, parts, grain_of(work * panels * kPanel, kGrain),
          [&](std::int64_t part, std::int64_t stop) {
            const std::int64_t begin = part * kPanel, end = std::min(stop * kPanel, here);
            pack_x(begin, end);
            multiply(begin, end, 0, panels);
            unpack_y(begin, end);
          });
  }
}

template void product(MatrixView<const float>, MatrixView<const float>, const float*,
                      std::ptrdiff_t, MatrixView<float>, void*, bool, Epilogue<float>);
template void product(MatrixView<const double>, MatrixView<const double>, const double*,
                      std::ptrdiff_t, MatrixView<double>, void*, bool, Epilogue<double>);

}  // namespace densa
