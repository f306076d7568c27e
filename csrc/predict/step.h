// A step of a predictor: one kernel call, or a few, on places that the number of rows gives.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/panel.h"
#include "base/threads.h"

namespace densa::predict {

// One block of rows on its way through the net.
struct Frame {
  const std::byte* const* in;  // the block's first row of each input
  std::byte* const* out;       // of each output
  std::byte* scratch;          // of all buffers
  std::byte* op_scratch;       // of the op that runs
  std::int64_t rows;
};

// Where a value lies. Buffers are as long as the block: what takes `n` bytes a row begins `at` x
// rows bytes behind the start and takes n x rows.
struct Place {
  enum Kind : std::uint8_t {
    kNone,
    kScratch,
    kConstant,
    kInput,
    kOutput,
    kOneRow,  // an input, which one row of floats can be read from as if it lay in panels;
              // where there are more rows, the buffer at `at`
  };
  Kind kind = kNone;
  int index = 0;                    // kInput, kOutput, kOneRow
  std::size_t at = 0;               // kScratch, kOneRow: bytes of a row
  const std::byte* data = nullptr;  // kConstant

  std::byte* address(const Frame& f) const {
    switch (kind) {
      case kScratch: return f.scratch + at * static_cast<std::size_t>(f.rows);
      case kConstant: return const_cast<std::byte*>(data);
      case kInput: return const_cast<std::byte*>(f.in[index]);
      case kOutput: return f.out[index];
      case kOneRow:
        return f.rows == 1 ? const_cast<std::byte*>(f.in[index])
                           : f.scratch + at * static_cast<std::size_t>(f.rows);
      case kNone: break;
    }
    return nullptr;
  }
  template <class T>
  T* as(const Frame& f) const {
    return reinterpret_cast<T*>(address(f));
  }
  // A value of the batch, in panels. One of more than two axes is a matrix, too: its last axis are
  // the columns, all others together the rows, `times` for each row of the batch.
  template <class T>
  Panels<T> panels(const Frame& f, std::int64_t times = 1) const {
    return {as<T>(f), f.rows * times * kPanel};
  }
};

class Step {
 public:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  // The panels [units.begin, units.end) of the result, or all of it where panels is 0.
  virtual void run(const Frame& f, Range units) const = 0;
  // Every place that it reads or writes, for those that give buffers their addresses.
  using Visit = std::function<void(Place&)>;
  virtual void places(const Visit& visit) = 0;
  // Scratch of the op for a block of so many rows.
  virtual std::size_t op_scratch(std::int64_t rows) const {
    (void)rows;
    return 0;
  }

  std::string label;
  std::int64_t times = 1;   // rows of its matrices for each row of the batch
  std::int64_t panels = 0;  // that threads may share out; 0: one thread does it all
  // Reads nothing of other panels than its own, but for constants and what lies a barrier behind.
  bool own = false;
  double flops = 0;  // of a row
};

}  // namespace densa::predict
