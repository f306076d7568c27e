// Blocks of 16 rows, transposed to [class][row]: zt holds the scores, then exp(z - max), then dz;
// tt holds the targets after smoothing.
#include "ops/loss/loss.h"

#include "ops/loss/formula.h"
#include "simd/rows.h"

namespace densa::inline DENSA_ISA {
namespace {

// Rows [row, row + rows), at most 16, to [column][16]. Lanes past the last row become zero.
template <class T>
void read_block(const Rows<const T>& x, std::int64_t row, std::int64_t rows, std::int64_t cols,
                T* lanes) {
  alignas(64) T block[16 * kPanel];
  for (std::int64_t g = 0; g < panel_count(cols); ++g) {
    const std::int64_t n = cols - g * kPanel < kPanel ? cols - g * kPanel : kPanel;
    const T* from = x.at(row, g);
    std::ptrdiff_t step = x.row;
    if (rows < 16 || (n < kPanel && step != kPanel)) {  // not all of 16 x 16 may be read
      for (std::int64_t r = 0; r < 16; ++r)
        store_group(
            block + r * kPanel,
            r < rows ? load_group(from + r * step, static_cast<std::size_t>(n)) : fill_group(T{0}));
      from = block;
      step = kPanel;
    }
    transpose16(from, step, lanes + g * kPanel * 16, 16);
  }
}

// The way back.
template <class T>
void write_block(const T* lanes, const Rows<T>& y, std::int64_t row, std::int64_t rows,
                 std::int64_t cols) {
  alignas(64) T block[16 * kPanel];
  for (std::int64_t g = 0; g < panel_count(cols); ++g) {
    const std::int64_t n = cols - g * kPanel < kPanel ? cols - g * kPanel : kPanel;
    const T* from = lanes + g * kPanel * 16;
    if (rows == 16 && (n == kPanel || y.row == kPanel)) {
      transpose16(from, 16, y.at(row, g), y.row);
      continue;
    }
    transpose16(from, 16, block, kPanel);
    for (std::int64_t r = 0; r < rows; ++r)
      put(y, row + r, g, load_group(block + r * kPanel), static_cast<std::size_t>(n));
  }
}

std::int64_t label_at(const Labels& labels, std::int64_t row) {
  switch (labels.bytes) {
    case 1:
      return labels.is_signed ? static_cast<const std::int8_t*>(labels.data)[row]
                              : static_cast<const std::uint8_t*>(labels.data)[row];
    case 2:
      return labels.is_signed ? static_cast<const std::int16_t*>(labels.data)[row]
                              : static_cast<const std::uint16_t*>(labels.data)[row];
    case 4:
      return labels.is_signed ? static_cast<const std::int32_t*>(labels.data)[row]
                              : static_cast<const std::uint32_t*>(labels.data)[row];
    default: return static_cast<const std::int64_t*>(labels.data)[row];
  }
}

// kLanes<T> rows of a block, all classes. `loss` and `top` (the largest score) are of these rows.
// With labels, what a row's label adds is left to the caller.
template <class T, bool kLabels>
DENSA_ALWAYS_INLINE void rows_of_block(const SoftmaxLoss<T>& a, T* zt, T* tt, const T* dy, T* loss,
                                       T* top_of) {
  const Vec<T> keep = broadcast(T{1} - a.smoothing);
  const Vec<T> even = broadcast(a.smoothing / static_cast<T>(a.classes));
  Vec<T> top = load(zt);
  for (std::int64_t c = 1; c < a.classes; ++c) top = maximum(top, load(zt + c * 16));
  Vec<T> sum{}, weight{}, dot{};
  for (std::int64_t first = 0; first < a.classes; first += kPanel) {
    const std::int64_t last = first + kPanel < a.classes ? first + kPanel : a.classes;
    Vec<T> part_sum{}, part_weight{}, part_dot{};
    for (std::int64_t c = first; c < last; ++c) {
      const Vec<T> z = load(zt + c * 16);
      if constexpr (!kLabels) {
        Vec<T> t = load(tt + c * 16);
        if (a.smoothing != T{0}) t = CrossEntropy::smoothed(t, keep, even);
        store(tt + c * 16, t);
        part_weight += t;
        part_dot += CrossEntropy::term(t, top, z);
      }
      const Vec<T> e = CrossEntropy::power(z, top);
      store(zt + c * 16, e);
      part_sum += e;
    }
    sum += part_sum;
    weight += part_weight;
    dot += part_dot;
  }
  const Vec<T> log_sum = log(sum);
  store(loss, kLabels ? log_sum : CrossEntropy::loss(weight, log_sum, dot));
  store(top_of, top);
  if (a.dz.data == nullptr) return;
  const Vec<T> g = load(dy);
  const Vec<T> factor = kLabels ? g / sum : CrossEntropy::factor(g, weight, sum);
  for (std::int64_t c = 0; c < a.classes; ++c) {
    Vec<T> d = load(zt + c * 16) * factor;
    if constexpr (!kLabels) d -= g * load(tt + c * 16);
    store(zt + c * 16, d);
  }
}

template <class T, bool kLabels>
void softmax_as(const SoftmaxLoss<T>& a) {
  const T nan = static_cast<T>(__builtin_nan(""));
  const std::int64_t padded_classes = padded(a.classes);
  T* zt = a.scratch;
  T* tt = a.scratch + padded_classes * 16;
  for (std::int64_t row = a.row_begin; row < a.row_end; row += 16) {
    const std::int64_t rows = a.row_end - row < 16 ? a.row_end - row : 16;
    read_block(a.z, row, rows, a.classes, zt);
    if constexpr (!kLabels) read_block(a.t, row, rows, a.classes, tt);
    alignas(64) T dy[16], loss[16], top[16];
    for (std::int64_t r = 0; r < 16; ++r)
      dy[r] = a.dy != nullptr && r < rows ? a.dy[(row + r) * a.dy_step] : T{0};
    for (std::size_t l = 0; l < 16; l += kLanes<T>)
      rows_of_block<T, kLabels>(a, zt + l, tt + l, dy + l, loss + l, top + l);
    if constexpr (kLabels) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t label = label_at(a.labels, row + r);
        if (label >= 0 && label < a.classes) {
          loss[r] += top[r] - a.z.at(row + r, label / kPanel)[label % kPanel];
          zt[label * 16 + r] -= dy[r];
        } else {
          loss[r] = nan;
          for (std::int64_t c = 0; c < a.classes; ++c) zt[c * 16 + r] = nan;
        }
      }
    }
    if (a.loss != nullptr)
      for (std::int64_t r = 0; r < rows; ++r) a.loss[row + r] = loss[r];
    if (a.dz.data == nullptr) continue;
    for (std::int64_t c = a.classes; c < padded_classes; ++c)
      store_group(zt + c * 16, fill_group(T{0}));
    write_block(zt, a.dz, row, rows, a.classes);
  }
}

template <class T>
void softmax(const SoftmaxLoss<T>& a) {
  if (a.labels.data != nullptr) {
    softmax_as<T, true>(a);
  } else {
    softmax_as<T, false>(a);
  }
}

template <class T>
void accuracy(const Rows<const T>& scores, std::int64_t row_begin, std::int64_t row_end,
              std::int64_t cols, const Labels& labels, T* hit) {
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    std::int64_t best = 0;
    T top = *scores.at(r, 0);
    for (std::int64_t c = 1; c < cols; ++c) {
      const T v = scores.at(r, c / kPanel)[c % kPanel];
      if (v > top || (v != v && top == top)) {
        best = c;
        top = v;
      }
    }
    hit[r] = best == label_at(labels, r) && top == top ? T{1} : T{0};  // a row with a NaN is wrong
  }
}

}  // namespace

extern const LossTable loss_kernels;
constinit const LossTable loss_kernels = {{&softmax<float>, &accuracy<float>},
                                          {&softmax<double>, &accuracy<double>}};

}  // namespace densa::inline DENSA_ISA
