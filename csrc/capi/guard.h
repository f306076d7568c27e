// What every function of the C ABI does: no exception leaves it, and its message stays per thread.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "capi/densa.h"

namespace densa::capi {

// An error whose code is known where it is found.
struct Failure {
  densa_status status;
  std::string text;
};

template <class... Parts>
[[noreturn]] void refuse(densa_status status, const Parts&... parts) {
  throw Failure{status, cat(parts...)};
}

// Keeps the text for densa_last_error of this thread; never throws.
densa_status failed(densa_status status, const char* text) noexcept;

// Runs f; the engine's errors about values become `value_error`.
template <class F>
densa_status guarded(densa_status value_error, F&& f) noexcept {
  try {
    std::forward<F>(f)();
    return DENSA_OK;
  } catch (const Failure& failure) {
    return failed(failure.status, failure.text.c_str());
  } catch (const ValueError& error) {
    return failed(value_error, error.what());
  } catch (const IndexError& error) {
    return failed(value_error, error.what());
  } catch (const std::bad_alloc& error) {
    return failed(DENSA_OUT_OF_MEMORY, error.what());
  } catch (const std::exception& error) {
    return failed(DENSA_INTERNAL, error.what());
  } catch (...) {
    return failed(DENSA_INTERNAL, "an unknown error");
  }
}

// No struct of ours is larger; what is said to be holds something else.
inline constexpr std::size_t kMostStruct = 4096;

// The size of a struct as its caller knows it. `least`: of the struct's first version.
inline std::size_t known_size(std::size_t said, std::size_t least, const char* what) {
  if (said < least || said > kMostStruct)
    refuse(DENSA_INVALID_ARGUMENT, what, ": struct_size is ", said, "; begin with its _INIT");
  return said;
}

// The caller's options over the defaults; NULL: the defaults. What this library does not know must
// be zero.
template <class Options>
Options options_of(const Options* given, const Options& defaults, std::size_t least,
                   const char* what) {
  Options made = defaults;
  if (given == nullptr) return made;
  const std::size_t size = known_size(given->struct_size, least, what);
  std::memcpy(static_cast<void*>(&made), given, std::min(size, sizeof made));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof made; i < size; ++i)
    if (bytes[i] != 0)
      refuse(DENSA_INVALID_ARGUMENT, what, ": an option is set that this densa does not know");
  made.struct_size = sizeof made;
  return made;
}

template <class T>
T& need(T* pointer, const char* what) {
  if (pointer == nullptr) refuse(DENSA_INVALID_ARGUMENT, what, " is NULL");
  return *pointer;
}

}  // namespace densa::capi
