// The eager tape: each result remembers the op, inputs and attributes that made it.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace densa {

struct TapeEntry {
  struct Output {
    TypeInfo type;
    std::shared_ptr<Storage> storage;
    std::int64_t offset_bytes;
    Dims strides;
    std::uint64_t version;
  };

  const Op* op;
  Attrs attrs;
  std::vector<Value> in;
  std::vector<std::uint64_t> in_versions;
  std::vector<Output> out;  // not the nodes themselves: they point here
  std::uint64_t order;      // rises with time: an entry's inputs come from smaller ones

  TapeEntry(const Op& o, const Attrs& a, std::span<const Value> inputs);
  ~TapeEntry();  // frees a long chain without recursion
  TapeEntry(const TapeEntry&) = delete;
  TapeEntry& operator=(const TapeEntry&) = delete;
};

// Whether ops of this thread are put on the tape.
bool grad_enabled();
void set_grad_enabled(bool enabled);

class GradMode {
 public:
  explicit GradMode(bool enabled) : before_(grad_enabled()) { set_grad_enabled(enabled); }
  ~GradMode() { set_grad_enabled(before_); }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

// Whether this thread's results of ops that losses look behind (graph/logits.h) remember, off the
// tape, what made them; returns what it was. They keep their inputs alive.
bool keep_origins(bool keep);

// Links `out` to a new entry when the tape is on and an input requires a gradient.
void record(const Op& op, std::span<const Value> in, const Attrs& attrs,
            std::span<const Value> out);

// Gradients of the roots, weighted with `dy` (null: ones; then the root has one element), with
// respect to `wanted`; null where nothing flows. `create_graph` keeps the result differentiable.
// Throws ValueError for a root that is not on the tape, RuntimeError for memory written since.
std::vector<Value> gradients(std::span<const Value> roots, std::span<const Value> dy,
                             std::span<const Value> wanted, bool create_graph);

// Adds the gradient of every leaf under `root` that requires one to its `grad` (and its
// variable's).
void backward(const Value& root, const Value& dy, bool create_graph);

}  // namespace densa
