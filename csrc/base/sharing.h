// Whether memory that nobody uses any more is given out again, for values of a GPU's plan and for
// blocks that were released.
#pragma once
#include <cstdlib>

namespace densa {

// On hardware always. Emulated, each value and block lies between guard zones of its own, unless
// the environment says DENSA_EMULATION_SHARE=1.
inline bool shares_memory(bool emulated) {
  if (!emulated) return true;
  const char* const text = std::getenv("DENSA_EMULATION_SHARE");
  return text != nullptr && *text == '1';
}

}  // namespace densa
