// How this thread's floating-point unit treats numbers too small to be normal.
#pragma once
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace densa {

// Denormal numbers count as zero while this lives (they cost up to twice the time in optimizer
// steps); the thread's mode is put back afterwards.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | (1ull << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  unsigned long long saved_;
#endif
};

}  // namespace densa
