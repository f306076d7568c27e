#include "base/storage.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/error.h"

namespace densa {
namespace {

// Freed blocks of at most kLargestKept bytes wait in a list per size class and thread, so that
// small eager results cost no trip to the allocator.
constexpr std::size_t kLargestKept = 4096;
constexpr std::size_t kKeptPerClass = 32;

std::size_t rounded(std::size_t bytes) {
  const std::size_t at_least = std::clamp(bytes, std::size_t{1}, ~std::size_t{0} / 2);
  return (at_least + Storage::kAlignment - 1) / Storage::kAlignment * Storage::kAlignment;
}

struct BlockCache {
  std::array<std::vector<void*>, kLargestKept / Storage::kAlignment + 1> kept;
  ~BlockCache();
};

// Null before the first use and after the thread's end, when blocks go straight back.
thread_local BlockCache* cache = nullptr;
thread_local bool cache_closed = false;

BlockCache::~BlockCache() {
  for (auto& list : kept)
    for (void* block : list) ::operator delete (block, std::align_val_t{Storage::kAlignment});
  cache = nullptr;
  cache_closed = true;
}

BlockCache* open_cache() {
  if (cache == nullptr && !cache_closed) {
    thread_local BlockCache blocks;
    cache = &blocks;
  }
  return cache;
}

void* take_block(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  if (size <= kLargestKept) {
    if (BlockCache* blocks = open_cache()) {
      auto& list = blocks->kept[size / Storage::kAlignment];
      if (!list.empty()) {
        void* block = list.back();
        list.pop_back();
        return block;
      }
    }
  }
  void* block = ::operator new (size, std::align_val_t{Storage::kAlignment}, std::nothrow);
  if (block == nullptr)
    throw MemoryError(cat("out of memory: ", bytes, " bytes (",
                          static_cast<double>(bytes) / (std::size_t{1} << 30),
                          " GiB) were asked for. Use smaller layers or batches"));
  return block;
}

void give_block(void* block, std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  if (size <= kLargestKept && !cache_closed) {
    if (BlockCache* blocks = open_cache()) {
      auto& list = blocks->kept[size / Storage::kAlignment];
      if (list.size() < kKeptPerClass) {
        if (list.capacity() == 0) list.reserve(kKeptPerClass);
        list.push_back(block);
        return;
      }
    }
  }
  ::operator delete (block, std::align_val_t{Storage::kAlignment});
}

}  // namespace

Storage::Storage(std::size_t bytes)
    : data_(take_block(bytes)), bytes_(bytes), owned_(true), writable_(true) {}

Storage::Storage(void* data, std::size_t bytes, std::shared_ptr<void> owner, bool writable,
                 Device device)
    : data_(data),
      bytes_(bytes),
      owned_(false),
      writable_(writable),
      device_(device),
      owner_(std::move(owner)) {}

Storage::~Storage() {
  if (owned_) give_block(data_, bytes_);
}

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  return std::make_shared<Storage>(bytes);
}

std::shared_ptr<Storage> Storage::zeros(std::size_t bytes) {
  auto storage = allocate(bytes);
  std::memset(storage->data(), 0, bytes);
  return storage;
}

std::shared_ptr<Storage> Storage::borrow(void* data, std::size_t bytes, std::shared_ptr<void> owner,
                                         bool writable, Device device) {
  return std::make_shared<Storage>(data, bytes, std::move(owner), writable, device);
}

}  // namespace densa
