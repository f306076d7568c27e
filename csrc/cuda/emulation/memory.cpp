#include "cuda/emulation/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>

#include "base/error.h"
#include "cuda/emulation/grid.h"

namespace densa::emulation {

std::ptrdiff_t distance = 0;

namespace {

constexpr std::size_t kGuard = 256;
constexpr int kGuardByte = 0xa5, kFreshByte = 0xff;

struct Allocation {
  std::size_t bytes;
  std::map<const std::byte*, std::size_t> parts;
};

std::mutex lock;
std::map<const std::byte*, Allocation>& allocations() {
  static auto* const all = new std::map<const std::byte*, Allocation>;
  return *all;
}

// All device memory: one file without a name, mapped twice. Free pieces by address.
class Space {
 public:
  Space() {
    const int file = memfd_create("densa device memory", 0);
    if (file < 0 || ftruncate(file, kBytes) != 0) return;
    void* device = mmap(nullptr, kBytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, file, 0);
    void* host = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    close(file);
    if (device == MAP_FAILED || host == MAP_FAILED) return;
    distance = static_cast<std::byte*>(host) - static_cast<std::byte*>(device);
    free_[static_cast<std::byte*>(device)] = kBytes;
  }
  std::byte* take(std::size_t bytes) {
    for (auto& [at, size] : free_) {
      if (size < bytes) continue;
      std::byte* const p = at;
      const std::size_t left = size - bytes;
      free_.erase(p);
      if (left > 0) free_[p + bytes] = left;
      return p;
    }
    return nullptr;
  }
  void give(std::byte* p, std::size_t bytes) {
    const std::size_t pages = bytes / kPage * kPage;
    auto* const whole = reinterpret_cast<std::byte*>(
        (reinterpret_cast<std::uintptr_t>(on_host(p)) + kPage - 1) / kPage * kPage);
    if (pages > kPage) madvise(whole, pages - kPage, MADV_REMOVE);
    auto at = free_.emplace(p, bytes).first;
    if (auto next = std::next(at); next != free_.end() && p + bytes == next->first) {
      at->second += next->second;
      free_.erase(next);
    }
    if (at == free_.begin()) return;
    if (auto before = std::prev(at); before->first + before->second == p) {
      before->second += at->second;
      free_.erase(at);
    }
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{16} << 30, kPage = 4096;
  std::map<std::byte*, std::size_t> free_;
};

Space& space() {
  static auto* const one = new Space;
  return *one;
}

constexpr std::size_t whole(std::size_t bytes) {
  return (bytes + 3 * kGuard - 1) / kGuard * kGuard;
}

const std::byte* bytes_at(const void* p) { return static_cast<const std::byte*>(p); }

// The allocation that p lies in or just behind.
std::map<const std::byte*, Allocation>::iterator find(const std::byte* p) {
  auto& all = allocations();
  auto at = all.upper_bound(p);
  if (at == all.begin()) return all.end();
  --at;
  return p <= at->first + at->second.bytes ? at : all.end();
}

bool is_guard(const std::byte* device) {
  const std::byte* p = on_host(device);
  for (std::size_t i = 0; i < kGuard; ++i)
    if (p[i] != std::byte{kGuardByte}) return false;
  return true;
}

}  // namespace

Bounds bounds_of(const void* pointer) {
  const std::byte* p = bytes_at(pointer);
  const std::scoped_lock locked(lock);
  const auto at = find(p);
  if (p == nullptr || at == allocations().end()) return {p, p};
  const auto& parts = at->second.parts;
  if (auto part = parts.upper_bound(p); part != parts.begin()) {
    --part;
    if (p < part->first + part->second) return {part->first, part->first + part->second};
  }
  return {at->first, at->first + at->second.bytes};
}

void* allocate(std::size_t bytes) {
  const std::scoped_lock locked(lock);
  std::byte* const block = space().take(whole(bytes));
  if (block == nullptr) return nullptr;
  std::byte* const p = on_host(block);
  std::memset(p, kGuardByte, kGuard);
  std::memset(p + kGuard, kFreshByte, bytes);
  std::memset(p + kGuard + bytes, kGuardByte, kGuard);
  allocations()[block + kGuard] = {bytes, {}};
  return block + kGuard;
}

void release(void* memory) {
  if (memory == nullptr) return;
  auto* p = static_cast<std::byte*>(memory);
  const std::scoped_lock locked(lock);
  const auto at = allocations().find(p);
  if (at == allocations().end())
    throw std::runtime_error("cuda emulation: release of memory that is not allocated");
  const std::size_t bytes = at->second.bytes;
  const bool before = !is_guard(p - kGuard), behind = !is_guard(p + bytes);
  allocations().erase(at);
  space().give(p - kGuard, whole(bytes));
  if (before || behind)
    throw std::runtime_error(cat("cuda emulation: memory ", before ? "before" : "behind",
                                 " an allocation of ", bytes, " bytes was written to"));
}

void mark_part(const void* memory, std::size_t bytes) {
  if (bytes == 0) return;
  const std::scoped_lock locked(lock);
  const auto at = find(bytes_at(memory));
  if (at == allocations().end())
    throw std::runtime_error("cuda emulation: a part of memory that is not allocated");
  at->second.parts[bytes_at(memory)] = bytes;
}

void forget_parts(const void* memory, std::size_t bytes) {
  const std::scoped_lock locked(lock);
  const auto at = find(bytes_at(memory));
  if (at == allocations().end()) return;
  auto& parts = at->second.parts;
  parts.erase(parts.lower_bound(bytes_at(memory)), parts.lower_bound(bytes_at(memory) + bytes));
}

void check_range(const void* pointer, std::size_t bytes, const char* what) {
  if (bytes == 0) return;
  const std::byte* p = bytes_at(pointer);
  const std::scoped_lock locked(lock);
  const auto at = find(p);
  const std::size_t left =
      at == allocations().end() ? 0 : static_cast<std::size_t>(at->first + at->second.bytes - p);
  if (bytes > left)
    throw std::runtime_error(cat("cuda emulation: ", what, " of ", bytes,
                                 " bytes does not fit into device memory: ", left,
                                 " bytes lie there"));
}

void bad_access(const void* p, std::size_t bytes, Bounds bounds) {
  if (reinterpret_cast<std::uintptr_t>(p) % bytes != 0 && (bytes & (bytes - 1)) == 0)
    fault(cat("access to ", bytes, " bytes that are not aligned to ", bytes));
  const auto size = bounds.high - bounds.low;
  if (size == 0) fault(cat("access to ", bytes, " bytes that are no device memory"));
  fault(cat("access to ", bytes, " bytes at offset ", bytes_at(p) - bounds.low, " of ", size));
}

}  // namespace densa::emulation
