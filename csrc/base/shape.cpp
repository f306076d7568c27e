#include "base/shape.h"

#include <algorithm>

namespace densa {

std::int64_t element_count(const Dims& shape) {
  std::int64_t count = 1;
  for (std::int64_t d : shape) {
    if (__builtin_mul_overflow(count, d, &count))
      throw ShapeError(cat("shape ", to_string(shape), " has too many elements"));
  }
  return count;
}

std::size_t byte_count(const Dims& shape, std::size_t item_bytes) {
  constexpr double kMost = 0x1p55;
  double bytes = static_cast<double>(item_bytes);
  // A size of 0 bounds no other: strides and panels are counted for them, too.
  for (std::int64_t d : shape) bytes *= static_cast<double>(std::max<std::int64_t>(d, 1));
  if (!(bytes <= kMost))
    throw MemoryError(cat("out of memory: a tensor of shape ", to_string(shape), " takes ", bytes,
                          " bytes, more than any machine has. Use smaller layers or batches"));
  return static_cast<std::size_t>(element_count(shape)) * item_bytes;
}

Dims contiguous_strides(const Dims& shape) {
  Dims strides = shape;
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

std::string to_string(const Dims& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] == kRows   ? "rows"
            : is_open(shape[i]) ? std::to_string(-shape[i]) + " rows"
                                : std::to_string(shape[i]);
  }
  if (shape.rank() == 1) text += ",";
  return text + ")";
}

Dims broadcast_shapes(const Dims& a, const Dims& b, std::string_view op) {
  const Dims& longer = a.rank() >= b.rank() ? a : b;
  const Dims& shorter = a.rank() >= b.rank() ? b : a;
  Dims out = longer;
  const int shift = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    const std::int64_t x = longer[i + shift];
    const std::int64_t y = shorter[i];
    if (x == y || y == 1) continue;
    if (x == 1) {
      out[i + shift] = y;
      continue;
    }
    const std::string text =
        cat(op, ": shapes ", to_string(a), " and ", to_string(b), " do not broadcast: sizes ",
            to_string(Dims{x}), " and ", to_string(Dims{y}), " differ and neither is 1");
    if (is_open(x) && is_open(y)) throw NeedsRows(text);
    throw ShapeError(text);
  }
  return out;
}

int normalize_axis(std::int64_t axis, int rank, std::string_view op) {
  const std::int64_t from_front = axis < 0 ? axis + rank : axis;
  if (from_front < 0 || from_front >= rank)
    throw ValueError(cat(op, ": axis ", axis, " is out of range for a tensor of rank ", rank));
  return static_cast<int>(from_front);
}

bool has_open(const Dims& shape) { return std::any_of(shape.begin(), shape.end(), is_open); }

Dims with_rows(const Dims& shape, std::int64_t rows) {
  Dims out = shape;
  for (std::int64_t& d : out) d = with_rows(d, rows);
  return out;
}

}  // namespace densa
