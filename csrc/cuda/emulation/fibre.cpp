#include "cuda/emulation/fibre.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "base/sanitizers.h"

// densa_fibre_swap(void** from, void* to): pushes the registers that a call preserves, keeps the
// stack pointer in *from, takes `to` as stack pointer and pops. A new fibre's stack is laid out as
// if it had been stopped at the start of densa_fibre_start, which calls the entry function that
// waits in one register with the argument from another.
// The names are global, if hidden: an assembler refers to a local one by its section, which on
// aarch64 loses the place in it where the address comes from a table.
#if defined(__x86_64__)
asm(R"(
.text
.p2align 4
.globl densa_fibre_swap
.hidden densa_fibre_swap
.type densa_fibre_swap, @function
densa_fibre_swap:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size densa_fibre_swap, .-densa_fibre_swap
.p2align 4
.globl densa_fibre_start
.hidden densa_fibre_start
.type densa_fibre_start, @function
densa_fibre_start:
  movq %r13, %rdi
  callq *%r12
  ud2
.size densa_fibre_start, .-densa_fibre_start
)");
#elif defined(__aarch64__)
asm(R"(
.text
.p2align 4
.globl densa_fibre_swap
.hidden densa_fibre_swap
.type densa_fibre_swap, %function
densa_fibre_swap:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size densa_fibre_swap, .-densa_fibre_swap
.p2align 4
.globl densa_fibre_start
.hidden densa_fibre_start
.type densa_fibre_start, %function
densa_fibre_start:
  mov x0, x20
  blr x19
  brk #0
.size densa_fibre_start, .-densa_fibre_start
)");
#else
#error "the CUDA emulation switches fibres on x86-64 and aarch64 only"
#endif

#if DENSA_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" {
void densa_fibre_swap(void** from, void* to);
void densa_fibre_start();
}

namespace densa::emulation {

Fibre::Fibre() {
#if DENSA_ASAN
  pthread_attr_t attributes;
  void* lowest = nullptr;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &lowest, &bytes_);
    pthread_attr_destroy(&attributes);
  }
  stack_ = static_cast<std::byte*>(lowest);
#endif
}

Fibre::Fibre(std::size_t stack_bytes) : bytes_(stack_bytes), owned_(true) {
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<std::byte*>(memory);
}

Fibre::~Fibre() {
  if (owned_) munmap(stack_, bytes_);
}

void Fibre::prepare(void (*entry)(void*), void* argument) {
#if DENSA_ASAN
  ASAN_UNPOISON_MEMORY_REGION(stack_, bytes_);  // frames that were forgotten
#endif
  auto* top = reinterpret_cast<std::uint64_t*>(stack_ + bytes_);  // page-aligned
  const auto bits = [](auto pointer) { return reinterpret_cast<std::uint64_t>(pointer); };
#if defined(__x86_64__)
  // r15 r14 r13 r12 rbx rbp, return address; at densa_fibre_start the stack is 16-byte aligned.
  std::uint64_t* at = top - 2 - 7;
  at[0] = at[1] = at[4] = at[5] = 0;
  at[2] = bits(argument);
  at[3] = bits(entry);
  at[6] = bits(&densa_fibre_start);
  at[7] = at[8] = 0;
#else
  std::uint64_t* at = top - 20;
  for (int i = 0; i < 20; ++i) at[i] = 0;
  at[0] = bits(entry);
  at[1] = bits(argument);
  at[11] = bits(&densa_fibre_start);
#endif
  place_ = at;
}

void Fibre::swap(Fibre& from, Fibre& to) {
#if DENSA_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.bytes_);
#endif
  densa_fibre_swap(&from.place_, to.place_);
#if DENSA_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);
#endif
}

void Fibre::arrived() {
#if DENSA_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

}  // namespace densa::emulation
