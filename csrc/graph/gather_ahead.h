// Brings the rows of the next batch into the second-level cache while this batch is worked on.
//
// Shuffled rows lie anywhere in memory: gathered on the spot, each would be waited for. A thread
// fetches the rows that it will gather itself, a few lines after each piece of its work.
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/panel.h"
#include "graph/stage.h"

namespace densa {

class GatherAhead {
 public:
  // A new step: the rows to fetch are those of the batch behind it, the share of `thread`.
  void begin(const StepState& s, int thread, int threads) {
    s_ = &s;
    input_ = 0;
    const std::int64_t next = std::min(s.batch, s.ahead - s.batch);
    if (s.order == nullptr || next <= 0) {  // rows in order: the hardware sees them coming
      input_ = s.source_count;
      return;
    }
    const Range blocks = share(panel_count(next), thread, threads);
    rows_ = {s.first + s.batch + blocks.begin * kPanel,
             s.first + s.batch + std::min(blocks.end * kPanel, next)};
    row_ = rows_.begin;
    byte_ = 0;
    std::int64_t lines = 0;
    for (std::size_t i = 0; i < s.source_count; ++i)
      lines += (rows_.end - rows_.begin) * (s.sources[i].row_bytes / kLine + 1);
    // Spread over as many calls as the last step made.
    per_call_ = lines / std::max<std::int64_t>(calls_, 1) + 1;
    calls_ = 0;
  }

  void some() {
    ++calls_;
    for (std::int64_t n = per_call_; n > 0 && input_ < s_->source_count;) {
      if (row_ >= rows_.end) {
        ++input_;
        row_ = rows_.begin;
        continue;
      }
      const SourceArray& source = s_->sources[input_];
      const std::byte* row = source.data + s_->order[row_] * source.row_bytes;
      for (; n > 0 && byte_ < source.row_bytes; byte_ += kLine, --n)
        __builtin_prefetch(row + byte_, 0, 2);
      if (byte_ < source.row_bytes) return;
      byte_ = 0;
      ++row_;
    }
  }

 private:
  static constexpr std::ptrdiff_t kLine = 64;
  const StepState* s_ = nullptr;
  Range rows_{0, 0};  // positions in the epoch
  std::int64_t row_ = 0;
  std::size_t input_ = 0;
  std::ptrdiff_t byte_ = 0;
  std::int64_t calls_ = 0, per_call_ = 0;
};

}  // namespace densa
