#include "ops/reduce/layout.h"

#include "ops/copy.h"

namespace densa::reduce {

Dims result_shape(const Dims& shape, const std::array<bool, kMaxRank>& reduced, bool keepdims) {
  Dims out;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!reduced[i]) {
      out.push_back(shape[i]);
    } else if (keepdims) {
      out.push_back(1);
    }
  }
  return out;
}

Layout layout_of(const Dims& shape, const std::array<bool, kMaxRank>& reduced) {
  Layout out;
  out.is_reduced = reduced;
  int changes = 0;  // kept (0), reduced (1), kept (2), reduced again (3)
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    if (reduced[i] != (changes % 2 == 1)) ++changes;
    if (changes == 0) out.outer *= shape[i];
    if (changes == 1) out.reduced *= shape[i];
    if (changes == 2) out.inner *= shape[i];
  }
  if (changes <= 2) return out;
  out.permute = true;
  out.outer = out.reduced = out.inner = 1;
  const Dims strides = contiguous_strides(shape);
  for (bool second : {false, true}) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (reduced[i] != second) continue;
      (second ? out.reduced : out.outer) *= shape[i];
      out.moved_shape.push_back(shape[i]);
      out.moved_strides.push_back(strides[i]);
    }
  }
  return out;
}

void move_axes(const View& x, const Layout& layout, void* to) {
  copy_strided(x.dtype, layout.moved_shape, to, contiguous_strides(layout.moved_shape), x.data,
               layout.moved_strides);
}

}  // namespace densa::reduce
