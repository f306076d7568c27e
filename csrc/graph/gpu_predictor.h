// GpuPredictor: a frozen network on a GPU, bound to its launches.
//
// All work of a call (copies from pinned memory, ops, copies back) is captured as one graph for
// each number of rows. What it needs lies in a Room: memory for batches of up to a power of two of
// rows. Any number of threads may call; each has a room to itself for as long as the host waits.
#pragma once
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph/program.h"
#include "ops/backend.h"
#include "ops/matmul/matmul_precision.h"

namespace densa {

class GpuPredictor {
 public:
  struct Spec {
    std::string name;
    TypeInfo type;  // rows first
  };

  // `program` is what freeze() gives and the CPU's Predictor takes: each row of an output depends
  // on the same row of the inputs alone. Throws ValueError for an op that no GPU has.
  GpuPredictor(Program program, Device device);
  ~GpuPredictor();
  GpuPredictor(const GpuPredictor&) = delete;
  GpuPredictor& operator=(const GpuPredictor&) = delete;

  Device device() const { return device_; }
  const std::vector<Spec>& inputs() const { return inputs_; }
  const std::vector<Spec>& outputs() const { return outputs_; }

  // in[i]: the rows of input i, row-major; out[k]: room for the rows of output k; of the host.
  // Throws IndexError for an id out of range.
  void run(const void* const* in, void* const* out, std::int64_t rows);
  // The same with memory of the GPU. Waits for the GPU only where ops can fail on their data.
  void run_there(const void* const* in, void* const* out, std::int64_t rows);

  // Larger batches are run part by part.
  std::int64_t most_rows() const { return most_rows_; }
  std::string explain();
  // What a call with tensors takes the GPU: the mean of `repeats` replays of the ops, without
  // copies, one behind the other. For benchmarks.
  double seconds(std::int64_t rows, int repeats);

 private:
  struct Work {
    const DeviceOp* op;
    std::vector<int> in, out;
    Attrs attrs;
    int status = -1;  // its number among those that can fail; -1: cannot
  };
  struct Place {
    std::shared_ptr<Storage> fixed;  // a constant; else:
    int buffer = -1;
  };
  // The network as it runs in batches of up to `capacity` rows.
  struct Form {
    std::int64_t capacity = 0;
    Program program;
    std::vector<Place> places;  // of values
    std::vector<Work> works;
    std::vector<std::size_t> offsets, bytes;  // of buffers in a room
    std::vector<int> inputs, outputs;         // values
    std::size_t arena_bytes = 0, status_at = 0;
    int status_count = 0;
  };
  enum Way : std::uint8_t { kHost, kThere };
  struct Launch {
    const Work* work;
    std::vector<View> in, out;
  };
  struct Sized {  // for a number of rows
    std::int64_t rows = 0;
    std::uint64_t last_use = 0;
    bool ran = false;
    std::vector<Launch> launches;
    std::shared_ptr<Storage> scratch;
    std::array<cuda::Graph*, 2> graphs{};  // by Way
  };
  struct Room {
    const Form* form = nullptr;
    bool busy = false;
    std::uint64_t uses = 0;
    std::shared_ptr<Storage> arena, scratch;
    std::vector<std::shared_ptr<Storage>> sent, landed;  // pinned; of inputs, outputs and statuses
    cuda::Event* done = nullptr;
    std::vector<std::unique_ptr<Sized>> sized;
  };
  class Lease;

  Form& form_for(std::int64_t rows);
  std::unique_ptr<Form> make_form(std::int64_t capacity);
  void place(Form& form);
  const std::shared_ptr<Storage>& fixed(const ProgramValue& value);

  Room* take(std::int64_t rows);
  void give(Room* room);
  std::unique_ptr<Room> make_room(const Form& form);
  void make_pinned(Room& room);
  void forget(Sized& sized);
  Sized& sized_for(Room& room, std::int64_t rows);

  void* address(const Room& room, int value) const;
  View view(const Room& room, int value, std::int64_t rows) const;
  long long* statuses(const Room& room) const;
  std::size_t row_bytes(const TypeInfo& type) const;

  void run_part(const void* const* in, void* const* out, std::int64_t first, std::int64_t rows);
  void run_part_there(const void* const* in, void* const* out, std::int64_t first,
                      std::int64_t rows);
  void launch_all(const Room& room, const Sized& sized, Way way);
  void launch(const Room& room, Sized& sized, Way way);
  void report(const Sized& sized, const long long* codes) const;

  Program program_;
  Device device_;
  Backend& gpu_;
  const MatmulPrecision matmul_precision_ = matmul_precision();  // as it was frozen
  std::vector<Spec> inputs_, outputs_;
  std::int64_t most_rows_ = 1;

  std::mutex busy_;  // what follows; never taken by who holds the device
  std::condition_variable idle_;
  std::map<const TensorNode*, std::shared_ptr<Storage>> constants_;
  std::map<std::int64_t, std::unique_ptr<Form>> forms_;  // by capacity
  std::map<const Form*, std::vector<std::unique_ptr<Room>>> rooms_;
};

}  // namespace densa
