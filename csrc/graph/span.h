// The data a plan works on: the user's arrays, the order of the epoch, and where results go.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/dtype.h"

namespace densa {

struct SourceArray {  // one input of the program, as the user's array holds it
  const std::byte* data = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t rows = 0;
  std::ptrdiff_t row_bytes = 0;
};

struct ResultArray {  // where one output of the program goes, row-major, batch after batch
  std::byte* data = nullptr;
  std::ptrdiff_t row_bytes = 0;
};

struct DataSpan {
  std::vector<SourceArray> sources;  // one per program input
  std::vector<ResultArray> results;  // one per program output that is collected
  const std::int64_t* order = nullptr;
  std::int64_t begin = 0, end = 0;  // positions in the epoch
  std::int64_t batch = 32;
  bool unchanged = false;  // the sources hold what they held at the last begin()
};

struct NonFinite {  // the smallest row with a non-finite number so far; input < 0: none
  int input = -1;
  std::int64_t row = -1;
};

}  // namespace densa
