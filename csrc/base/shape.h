// Dims: a shape or strides of at most kMaxRank numbers, held in place (no allocation).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/error.h"

namespace densa {

inline constexpr int kMaxRank = 8;
// In a recorded Program the number of rows of a batch is not known yet: such a dimension is kRows,
// and -k is one of k times as many, where a reshape has joined the rows with axes behind them.
inline constexpr std::int64_t kRows = -1;
constexpr bool is_open(std::int64_t dim) { return dim < 0; }
constexpr std::int64_t with_rows(std::int64_t dim, std::int64_t rows) {
  return is_open(dim) ? -dim * rows : dim;
}

class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<std::int64_t> dims) : Dims(std::span(dims.begin(), dims.size())) {}
  explicit Dims(std::span<const std::int64_t> dims) {
    for (std::int64_t d : dims) push_back(d);
  }
  int rank() const { return rank_; }
  int size() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  std::int64_t& operator[](int i) { return dims_[i]; }
  std::int64_t operator[](int i) const { return dims_[i]; }
  std::int64_t* begin() { return dims_.data(); }
  std::int64_t* end() { return dims_.data() + rank_; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  std::int64_t back() const { return dims_[rank_ - 1]; }
  void push_back(std::int64_t d) {
    if (rank_ == kMaxRank) throw ShapeError(cat("a tensor has at most ", kMaxRank, " dimensions"));
    dims_[rank_++] = d;
  }
  friend bool operator==(const Dims& a, const Dims& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.dims_[i] != b.dims_[i]) return false;
    return true;
  }

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// Product of the dimensions; a scalar has one element. Requires that none is open.
std::int64_t element_count(const Dims& shape);
// Bytes of that many elements; throws MemoryError where no machine has them, so that padding both
// axes to whole panels cannot overflow.
std::size_t byte_count(const Dims& shape, std::size_t item_bytes);
// Row-major strides, in elements.
Dims contiguous_strides(const Dims& shape);
// "(32, 784)"; kRows prints as "rows", -3 as "3 rows".
std::string to_string(const Dims& shape);
// NumPy broadcasting; throws ShapeError naming `op` and both shapes. An open
// dimension matches itself and 1; NeedsRows where only the rows would tell.
Dims broadcast_shapes(const Dims& a, const Dims& b, std::string_view op);
// Axis in [-rank, rank) to [0, rank); throws ValueError naming `op`.
int normalize_axis(std::int64_t axis, int rank, std::string_view op);
// Whether any dimension is open.
bool has_open(const Dims& shape);
// The shape for a batch of `rows` rows.
Dims with_rows(const Dims& shape, std::int64_t rows);

}  // namespace densa
