// What densa._cuda offers to the engine: memory, streams and one evaluation per op.
//
// The engine never links CUDA. densa._cuda is loaded when a GPU is first asked for and hands over
// one Backend; ops that have no entry there are missing, not stubs. All work of a device goes to
// one stream, so it happens in the order of the calls. Any thread may call; what launches (an eval,
// an update, a capture) needs `hold`, lest a capture of another thread takes it in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "base/gpu.h"
#include "base/storage.h"
#include "ops/op.h"
#include "ops/optimizer/device_update.h"

namespace densa {

// What changes from step to step, in device memory: launches that are captured once read it when
// they are replayed.
struct DeviceStep {
  std::int64_t step;   // numbers random draws; goes on over the model's life
  std::int64_t first;  // position of the batch in the epoch
  std::int64_t index;  // steps since the span began: which learning rate
  // Not 0: an op of this step failed on its data. Until the host says otherwise the step is never
  // over: updates, assignments and the advance to the next one do nothing.
  std::int64_t failed;
};

struct DeviceCall {
  std::span<const View> in;
  std::span<const View> out;  // allocated, row-major contiguous, never aliasing an input
  const Attrs& attrs;
  void* scratch;      // DeviceOp::scratch_bytes(...) bytes, 256-byte aligned, uninitialised
  long long* status;  // device memory, LLONG_MAX: a kernel lowers it to the number of what is wrong
  cuda::Stream stream;
  const DeviceStep* step = nullptr;  // null: eager
};

struct DeviceOp {
  const char* name;
  // Launches; never waits, never allocates.
  void (*eval)(const DeviceCall& call);
  std::size_t (*scratch_bytes)(std::span<const TypeInfo> in, const Attrs& attrs) = nullptr;
  // True: eval reads inputs with any strides. False: the caller makes them contiguous first.
  bool any_strides = false;
  // Bit i: operand i, or result i, may lie in 16 bits in place of float32. Arithmetic is float32
  // either way; a result is rounded to nearest as it is written.
  std::uint32_t half_in = 0, half_out = 0;
  // True: it multiplies matrices, and is given the attribute `matmul_precision` (ops/matmul).
  bool multiplies = false;
  // Null: always. Else whether it does so for operands of these shapes, and of fewer rows.
  bool (*takes_halves)(std::span<const TypeInfo> in, const Attrs& attrs) = nullptr;
  // Null: cannot fail. Else throws the error that `status` stands for.
  void (*report)(const DeviceCall& call, long long status) = nullptr;
  // Null: wherever there is a report. Else whether these attributes let it fail.
  bool (*may_fail)(const Attrs& attrs) = nullptr;

  bool fails(const Attrs& attrs) const {
    return report != nullptr && (may_fail == nullptr || may_fail(attrs));
  }
};

class Backend {
 public:
  virtual ~Backend() = default;

  // 0, with the reason, where there is no GPU that can be used.
  virtual int device_count(std::string* why_none) = 0;
  virtual cuda::DeviceFacts facts(Device device) = 0;
  virtual bool emulated() const = 0;
  // Whether each buffer of a plan shall be an allocation of its own, so that tools that watch over
  // memory see where it ends.
  virtual bool separate_buffers() const = 0;
  // Throws ValueError where there is no such GPU, RuntimeError where this build has no code for it.
  virtual void check(Device device) = 0;

  // Uninitialised. Throws MemoryError with the sizes.
  virtual void* allocate(Device device, std::size_t bytes) = 0;
  virtual void release(Device device, void* memory, std::size_t bytes) = 0;
  virtual std::size_t free_memory(Device device) = 0;
  virtual std::size_t kept_bytes(Device device) = 0;  // released, but not yet given back
  virtual void give_back(Device device) = 0;

  virtual cuda::Stream stream(Device device) = 0;
  // For other libraries: that stream as CUDA's number, a wait for a stream of theirs, the GPU whose
  // memory this is (-1: none's).
  virtual std::uintptr_t stream_number(Device device) = 0;
  virtual void synchronize_number(std::uintptr_t stream) = 0;
  virtual int device_of(const void* memory) = 0;
  // While it lives, no other thread launches, copies or waits on the device. The same thread may
  // hold it twice. Whoever holds it must not wait for Python's lock.
  [[nodiscard]] virtual std::unique_lock<std::recursive_mutex> hold(Device device) = 0;
  // Waits without holding the device, as `copy` does.
  virtual void synchronize(Device device) = 0;
  // kToHost waits until the bytes are there. Behind kToDevice `from` may be written again; up to
  // half a MiB is taken over without waiting for the GPU.
  virtual void copy(Device device, void* to, const void* from, std::size_t bytes,
                    cuda::Direction direction) = 0;
  virtual void fill_zero(Device device, void* memory, std::size_t bytes) = 0;

  // A stream for copies beside the work of `stream`; events order the two. All of it needs `hold`
  // where it names `stream`.
  virtual cuda::Stream copy_stream(Device device) = 0;
  virtual cuda::Event* create_event(Device device) = 0;
  virtual void destroy_event(cuda::Event* event) = 0;
  virtual void record(cuda::Stream stream, cuda::Event* event) = 0;
  virtual void wait(cuda::Stream stream, const cuda::Event* event) = 0;
  virtual void wait(const cuda::Event* event) = 0;  // the host does; not while holding
  // To or from pinned memory: goes on while the host does.
  virtual void begin_copy(cuda::Stream stream, void* to, const void* from, std::size_t bytes,
                          cuda::Direction direction) = 0;
  // Of the host, for begin_copy. Throws MemoryError with the sizes.
  virtual void* allocate_pinned(Device device, std::size_t bytes) = 0;
  virtual void release_pinned(void* memory, std::size_t bytes) = 0;

  // What is launched next, for the message of an error that shows only later; the text stays.
  virtual void note(const char* op) = 0;
  virtual const DeviceOp* find(std::string_view op) = 0;  // null: no evaluation on a GPU

  // One optimizer step; launches only, as DeviceOp::eval.
  virtual std::size_t update_scratch_bytes(const DeviceUpdate& update) = 0;
  virtual void update(const DeviceUpdate& update) = 0;

  virtual void begin_capture(Device device) = 0;
  virtual cuda::Graph* end_capture(Device device) = 0;
  virtual void launch(Device device, cuda::Graph* graph) = 0;
  virtual void destroy(cuda::Graph* graph) = 0;

  // For the emulation's checks; see cuda/launch.h.
  virtual void mark_part(const void* memory, std::size_t bytes) = 0;
  virtual void forget_parts(const void* memory, std::size_t bytes) = 0;
};

// The backend that was handed over; throws RuntimeError where none was.
Backend& backend();
bool has_backend();
// The evaluation of an op on a GPU; throws RuntimeError naming an op that has none.
const DeviceOp& device_op(std::string_view name);
void set_backend(Backend* backend);                           // which stays for good
void run_on_gpu(const DeviceOp& op, const DeviceCall& call);  // notes and launches
// Every element of `memory` becomes the first `item` bytes of `bits`; no copy, no waiting.
void fill_on(Device device, void* memory, DType dtype, std::int64_t count, std::uint64_t bits);

// Memory on any device; zeros where asked for.
std::shared_ptr<Storage> allocate_on(Device device, std::size_t bytes);
std::shared_ptr<Storage> zeros_on(Device device, std::size_t bytes);
std::shared_ptr<Storage> pinned_for(Device device, std::size_t bytes);  // of the host

}  // namespace densa
