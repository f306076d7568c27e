// Numbers in the memory of the emulated GPU, for native tests.
#pragma once
#include <cstddef>
#include <vector>

#include "cuda/launch.h"

namespace densa::inline DENSA_ISA {

template <class T>
class Device {
 public:
  explicit Device(const std::vector<T>& host, cuda::Stream stream)
      : size_(host.size()), p_(static_cast<T*>(cuda::allocate(0, size_ * sizeof(T)))) {
    cuda::copy(stream, p_, host.data(), size_ * sizeof(T), cuda::Direction::kToDevice);
  }
  ~Device() { cuda::release(0, p_); }
  T* get() const { return p_; }
  std::vector<T> host(cuda::Stream stream) const {
    std::vector<T> out(size_);
    cuda::copy(stream, out.data(), p_, size_ * sizeof(T), cuda::Direction::kToHost);
    return out;
  }

 private:
  std::size_t size_;
  T* p_;
};

}  // namespace densa::inline DENSA_ISA
