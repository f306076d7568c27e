// Compiled once per CPU level. zt and tt hold a block of 16 rows transposed: [class][row].
#include "ops/softmax_loss/softmax_loss.h"
#include "simd/lanes.h"
#include "simd/math.h"

namespace densa::inline DENSA_ISA {
namespace {

// A block of up to 16 rows of panels, all classes, to [class][16].
template <class T>
void to_lanes(const Panels<const T>& z, std::int64_t row, std::int64_t rows, std::int64_t classes,
              T* zt) {
  for (std::int64_t p = 0; p < panel_count(classes); ++p) {
    const T* block = z.panel(p) + row * kPanel;
    if (rows == 16) {
      transpose16(block, kPanel, zt + p * kPanel * 16, 16);
      continue;
    }
    for (std::int64_t c = 0; c < kPanel; ++c)
      for (std::int64_t r = 0; r < 16; ++r)
        zt[(p * kPanel + c) * 16 + r] = r < rows ? block[r * kPanel + c] : T(0);
  }
}

template <class T>
void from_lanes(const T* zt, const Panels<T>& z, std::int64_t row, std::int64_t rows,
                std::int64_t classes) {
  for (std::int64_t p = 0; p < panel_count(classes); ++p) {
    T* block = z.panel(p) + row * kPanel;
    if (rows == 16) {
      transpose16(zt + p * kPanel * 16, 16, block, kPanel);
      continue;
    }
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < kPanel; ++c)
        block[r * kPanel + c] = zt[(p * kPanel + c) * 16 + r];
  }
}

template <class T>
std::int64_t label_at(const SoftmaxLoss<T>& a, std::int64_t row) {
  switch (a.label_bytes) {
    case 1:
      return a.label_signed ? static_cast<const std::int8_t*>(a.labels)[row]
                            : static_cast<const std::uint8_t*>(a.labels)[row];
    case 2:
      return a.label_signed ? static_cast<const std::int16_t*>(a.labels)[row]
                            : static_cast<const std::uint16_t*>(a.labels)[row];
    case 4:
      return a.label_signed ? static_cast<const std::int32_t*>(a.labels)[row]
                            : static_cast<const std::uint32_t*>(a.labels)[row];
    default: return static_cast<const std::int64_t*>(a.labels)[row];
  }
}

template <class T>
void run(const SoftmaxLoss<T>& a) {
  constexpr std::int64_t kWide = kLanes<T>;
  const std::int64_t padded_classes = padded(a.classes);
  T* zt = a.scratch;
  T* tt = a.scratch + padded_classes * 16;
  const T nan = static_cast<T>(__builtin_nanf(""));
  for (std::int64_t row = a.row_begin; row < a.row_end; row += 16) {
    const std::int64_t rows = a.row_end - row < 16 ? a.row_end - row : 16;
    to_lanes(a.z, row, rows, a.classes, zt);
    const bool dense = a.labels == nullptr;
    if (dense) to_lanes(a.t, row, rows, a.classes, tt);
    alignas(64) T dy[16], loss[16], tops[16];
    for (std::int64_t r = 0; r < 16; ++r)
      dy[r] = a.dy != nullptr && r < rows ? a.dy[(row + r) * a.dy_step] : T(0);

    for (std::int64_t l = 0; l < 16; l += kWide) {
      Vec<T> top = load(zt + l);
      for (std::int64_t c = 1; c < a.classes; ++c) top = maximum(top, load(zt + c * 16 + l));
      Vec<T> sum{}, weight{}, dot{};
      const Vec<T> keep = lane<Vec<T>>(T(1) - a.smoothing);
      const Vec<T> even = lane<Vec<T>>(a.smoothing / static_cast<T>(a.classes));
      for (std::int64_t c = 0; c < a.classes; ++c) {
        const Vec<T> z = load(zt + c * 16 + l);
        if (dense) {
          Vec<T> t = load(tt + c * 16 + l);
          if (a.smoothing != T(0)) t = t * keep + even;
          store(tt + c * 16 + l, t);
          weight += t;
          dot += t * (top - z);
        }
        const Vec<T> e = exp(z - top);
        store(zt + c * 16 + l, e);
        sum += e;
      }
      const Vec<T> log_sum = log(sum);
      store(loss + l, dense ? weight * log_sum + dot : log_sum);
      store(tops + l, top);
      if (a.dz.data == nullptr) continue;
      const Vec<T> g = load(dy + l);
      const Vec<T> factor = (dense ? g * weight : g) / sum;
      for (std::int64_t c = 0; c < a.classes; ++c) {
        Vec<T> d = load(zt + c * 16 + l) * factor;
        if (dense) d -= g * load(tt + c * 16 + l);
        store(zt + c * 16 + l, d);
      }
    }
    if (!dense)
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t label = label_at(a, row + r);
        if (label >= 0 && label < a.classes) {
          loss[r] += tops[r] - a.z.panel(label / kPanel)[(row + r) * kPanel + label % kPanel];
          zt[label * 16 + r] -= dy[r];
        } else {
          loss[r] = nan;
          for (std::int64_t c = 0; c < a.classes; ++c) zt[c * 16 + r] = nan;
        }
      }
    if (a.loss != nullptr)
      for (std::int64_t r = 0; r < rows; ++r) a.loss[row + r] = loss[r];
    if (a.dz.data == nullptr) continue;
    for (std::int64_t c = a.classes; c < padded_classes; ++c)
      for (std::int64_t r = 0; r < 16; ++r) zt[c * 16 + r] = T(0);
    from_lanes(zt, a.dz, row, rows, a.classes);
  }
}

}  // namespace

extern const SoftmaxLossKernels softmax_loss_table;
constinit const SoftmaxLossKernels softmax_loss_table = {&run<float>, &run<double>};

}  // namespace densa
