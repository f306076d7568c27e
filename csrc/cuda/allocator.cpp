#include "cuda/allocator.h"

#include <string>

#include "base/error.h"
#include "cuda/launch.h"

namespace densa::cuda {
namespace {

std::string text(std::size_t bytes) {
  return cat(bytes, " bytes (", static_cast<double>(bytes) / (std::size_t{1} << 30), " GiB)");
}

}  // namespace

// Small blocks in steps of 512 bytes, large ones in steps of 1/8 of their power of two.
std::size_t Allocator::rounded(std::size_t bytes) const {
  if (!keeps_) return bytes;
  std::size_t step = 512;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step + (bytes == 0 ? step : 0);
}

void* Allocator::take(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  const std::scoped_lock locked(busy_);
  if (auto at = kept_.find(size); at != kept_.end() && !at->second.empty()) {
    void* const memory = at->second.back();
    at->second.pop_back();
    kept_bytes_ -= size;
    used_bytes_ += size;
    return memory;
  }
  void* memory = allocate(device_, size);
  const std::size_t kept = kept_bytes_;
  if (memory == nullptr && kept > 0) {
    release_kept();
    memory = allocate(device_, size);
  }
  if (memory == nullptr)
    throw MemoryError(cat("out of memory on cuda:", device_, ": ", text(bytes), " were asked for, ",
                          text(free_memory(device_)), " are free of ",
                          text(facts(device_).memory_bytes), ", densa holds ", text(used_bytes_),
                          " and had ", text(kept),
                          " for reuse, which it gave back. Use smaller layers or batches"));
  used_bytes_ += size;
  return memory;
}

void Allocator::give(void* memory, std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  const std::scoped_lock locked(busy_);
  used_bytes_ -= size;
  if (!keeps_) return release(device_, memory);
  kept_[size].push_back(memory);
  kept_bytes_ += size;
}

std::size_t Allocator::kept_bytes() {
  const std::scoped_lock locked(busy_);
  return kept_bytes_;
}

void Allocator::give_back() {
  const std::scoped_lock locked(busy_);
  release_kept();
}

void Allocator::release_kept() {
  for (auto& [size, blocks] : kept_)
    for (void* memory : blocks) release(device_, memory);
  kept_.clear();
  kept_bytes_ = 0;
}

}  // namespace densa::cuda
