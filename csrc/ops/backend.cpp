#include "ops/backend.h"

#include <atomic>
#include <stdexcept>

namespace densa {
namespace {

std::atomic<Backend*> loaded{nullptr};

}  // namespace

Backend& backend() {
  Backend* const current = loaded.load(std::memory_order_acquire);
  if (current == nullptr)
    throw std::runtime_error("no GPU is in use; call densa.set_device(\"cuda\") first");
  return *current;
}

const DeviceOp& device_op(std::string_view name) {
  const DeviceOp* const op = backend().find(name);
  if (op == nullptr)
    throw std::runtime_error(cat(name,
                                 ": this op does not run on a GPU yet; move its inputs with "
                                 ".to(\"cpu\")"));
  return *op;
}

bool has_backend() { return loaded.load(std::memory_order_acquire) != nullptr; }
void set_backend(Backend* backend) { loaded.store(backend, std::memory_order_release); }

void run_on_gpu(const DeviceOp& op, const DeviceCall& call) {
  backend().note(op.name);
  op.eval(call);
}

void fill_on(Device device, void* memory, DType dtype, std::int64_t count, std::uint64_t bits) {
  Backend& gpu = backend();
  const View y{memory, dtype, {count}, {1}};
  const Attrs attrs{{"bits", static_cast<std::int64_t>(bits)}};
  const auto held = gpu.hold(device);
  run_on_gpu(device_op("fill"), {{}, {&y, 1}, attrs, nullptr, nullptr, gpu.stream(device)});
}

std::shared_ptr<Storage> allocate_on(Device device, std::size_t bytes) {
  if (device.is_cpu()) return Storage::allocate(bytes);
  Backend& gpu = backend();
  void* const memory = gpu.allocate(device, bytes);
  std::shared_ptr<void> owner(memory,
                              [&gpu, device, bytes](void* p) { gpu.release(device, p, bytes); });
  return Storage::borrow(memory, bytes, std::move(owner), true, device);
}

std::shared_ptr<Storage> zeros_on(Device device, std::size_t bytes) {
  if (device.is_cpu()) return Storage::zeros(bytes);
  auto storage = allocate_on(device, bytes);
  backend().fill_zero(device, storage->data(), bytes);
  return storage;
}

std::shared_ptr<Storage> pinned_for(Device device, std::size_t bytes) {
  Backend& gpu = backend();
  void* const memory = gpu.allocate_pinned(device, bytes);
  std::shared_ptr<void> owner(memory, [&gpu, bytes](void* p) { gpu.release_pinned(p, bytes); });
  return Storage::borrow(memory, bytes, std::move(owner), true);
}

}  // namespace densa
