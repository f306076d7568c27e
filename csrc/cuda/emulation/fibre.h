// Fibres: functions that can stop in the middle, hand over to another one and go on later, all on
// one thread of the operating system. A switch saves the registers that a call preserves.
#pragma once
#include <cstddef>

namespace densa::emulation {

class Fibre {
 public:
  Fibre();  // the place of an ordinary thread, on its own stack, to come back to
  explicit Fibre(std::size_t stack_bytes);
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  // The next switch to this fibre calls entry(argument), which calls arrived() first and must not
  // return or throw. What the fibre did before is forgotten.
  void prepare(void (*entry)(void*), void* argument);
  bool prepared() const { return place_ != nullptr; }
  void forget() { place_ = nullptr; }

  // Stops the caller, whose place is kept in `from`, and goes on where `to` stopped.
  static void swap(Fibre& from, Fibre& to);
  static void arrived();

 private:
  void* place_ = nullptr;  // where it stopped: a stack pointer
  std::byte* stack_ = nullptr;
  std::size_t bytes_ = 0;
  bool owned_ = false;
  void* fake_stack_ = nullptr;  // the address sanitizer's
};

}  // namespace densa::emulation
