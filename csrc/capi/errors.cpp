// Codes, versions, and the message of a thread's last error.
#include "capi/guard.h"

namespace densa::capi {
namespace {

constexpr std::size_t kMessage = 512;
thread_local char message[kMessage] = "";

}  // namespace

densa_status failed(densa_status status, const char* text) noexcept {
  std::size_t size = std::min(std::strlen(text), kMessage - 1);
  // A character of several bytes is kept whole or left out.
  if (text[size] != '\0')
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  std::memcpy(message, text, size);
  message[size] = '\0';
  return status;
}

}  // namespace densa::capi

extern "C" {

uint32_t densa_abi_version(void) { return DENSA_ABI_VERSION; }

const char* densa_version(void) { return DENSA_VERSION; }

const char* densa_status_name(densa_status status) {
  switch (status) {
#define DENSA_NAME(code) \
  case code: return #code;
    DENSA_NAME(DENSA_OK)
    DENSA_NAME(DENSA_INVALID_ARGUMENT)
    DENSA_NAME(DENSA_CANNOT_READ)
    DENSA_NAME(DENSA_BAD_FILE)
    DENSA_NAME(DENSA_LIMIT)
    DENSA_NAME(DENSA_OUT_OF_MEMORY)
    DENSA_NAME(DENSA_BAD_INPUT)
    DENSA_NAME(DENSA_INTERNAL)
#undef DENSA_NAME
  }
  return "unknown";
}

const char* densa_last_error(void) { return densa::capi::message; }
}
