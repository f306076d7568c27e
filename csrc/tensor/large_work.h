// Lets the bindings give up Python's lock while a large op runs, without tensor/ knowing Python.
#pragma once

namespace densa {

struct LargeWork {
  void* (*enter)() = nullptr;      // before a large evaluation; null: nothing to undo
  void (*leave)(void*) = nullptr;  // after it, with what enter gave
};
void set_large_work(LargeWork hooks);

}  // namespace densa
