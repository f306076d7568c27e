// Device memory that is asked for again and again: released blocks are kept by size and given out
// once more. All work of a device goes to one stream, so a block may be reused at once.
#pragma once
#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace densa::cuda {

class Allocator {
 public:
  // `keeps`: whether released blocks are kept.
  Allocator(int device, bool keeps) : device_(device), keeps_(keeps) {}
  // Throws MemoryError with the sizes when the device, with nothing kept, has no such block.
  void* take(std::size_t bytes);
  void give(void* memory, std::size_t bytes);
  std::size_t kept_bytes();
  void give_back();  // everything that is kept

 private:
  void release_kept();
  std::size_t rounded(std::size_t bytes) const;

  const int device_;
  const bool keeps_;
  std::mutex busy_;
  std::map<std::size_t, std::vector<void*>> kept_;  // by rounded size
  std::size_t kept_bytes_ = 0, used_bytes_ = 0;
};

}  // namespace densa::cuda
