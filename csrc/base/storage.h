// A block of memory that Tensors and Variables share.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/device.h"

namespace densa {

class Storage {
 public:
  static constexpr std::size_t kAlignment = 64;

  // Uninitialised (or zeroed) memory of our own, aligned to kAlignment. Throws std::bad_alloc.
  static std::shared_ptr<Storage> allocate(std::size_t bytes);
  static std::shared_ptr<Storage> zeros(std::size_t bytes);
  // Memory of somebody else; `owner` keeps it alive.
  static std::shared_ptr<Storage> borrow(void* data, std::size_t bytes, std::shared_ptr<void> owner,
                                         bool writable, Device device = kCpu);

  explicit Storage(std::size_t bytes);
  Storage(void* data, std::size_t bytes, std::shared_ptr<void> owner, bool writable, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }  // an address of the device
  Device device() const { return device_; }
  std::size_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }
  void make_read_only() { writable_ = false; }  // for Python: C++ may still write

  // Counts writes that a recorded gradient could notice.
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void* data_;
  std::size_t bytes_;
  bool owned_;
  bool writable_;
  Device device_;
  std::shared_ptr<void> owner_;
  std::atomic<std::uint64_t> version_{0};
};

}  // namespace densa
