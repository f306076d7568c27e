// Predictor: a frozen network bound to this machine's kernels.
//
// Immutable once made, so any number of threads may call `run` at the same time, each with scratch
// memory of its own. A call allocates nothing, takes no lock and does not depend on how its rows
// are cut: run(X)[i] has the bits of run(X[i:i+1]).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "predict/net.h"

namespace densa {

namespace predict {
class Step;
}

class Predictor {
 public:
  explicit Predictor(Net net);  // throws ValueError for a net that is none (check_net)
  ~Predictor();
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;

  const Net& net() const { return net_; }

  // Scratch that a call with so many rows needs on `threads` threads; aligned to 64 bytes.
  std::size_t scratch_bytes(std::int64_t rows, int threads = 1) const;

  // Bytes of a row of each input and output.
  std::span<const std::size_t> input_row_bytes() const { return in_bytes_; }
  std::span<const std::size_t> output_row_bytes() const { return out_bytes_; }

  // in[i]: the rows of input i, row-major, of its dtype; out[k]: room for the rows of output k.
  // No output overlaps an input or another output (find_overlap). Throws ValueError for an id out
  // of range.
  void run(const void* const* in, void* const* out, std::int64_t rows, std::byte* scratch,
           int threads = 1) const;

  double row_flops() const { return row_flops_; }  // multiplications and additions of a row
  std::size_t weight_bytes() const { return weight_bytes_; }  // of all constants
  std::string explain() const;

 private:
  struct Caller;
  std::int64_t block_rows(std::int64_t rows) const;
  void run_rows(const Caller& caller, std::int64_t begin, std::int64_t end,
                std::byte* scratch) const;
  void run_panels(const Caller& caller, std::byte* scratch, int threads) const;

  Net net_;
  std::vector<std::unique_ptr<predict::Step>> steps_;
  std::vector<std::size_t> in_bytes_, out_bytes_;  // of a row
  std::size_t row_scratch_ = 0;                    // bytes of all buffers for one row
  std::size_t op_scratch_ = 0;                     // of the ops, for kBlock rows
  std::int64_t block_ = 16;
  double row_flops_ = 0;
  std::size_t weight_bytes_ = 0;
};

}  // namespace densa
