#include "base/device.h"

#include <charconv>

#include "base/error.h"

namespace densa {

std::string to_string(Device device) { return device.is_cpu() ? "cpu" : cat("cuda:", device.gpu); }

Device device_from_name(std::string_view name) {
  constexpr std::string_view kCuda = "cuda";
  if (name == "cpu") return kCpu;
  if (name == kCuda) return {0};
  if (name.starts_with("cuda:")) {
    const std::string_view digits = name.substr(kCuda.size() + 1);
    int number = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size() && number >= 0)
      return {number};
  }
  throw ValueError(cat("device '", name, "' is unknown; use \"cpu\", \"cuda\" or \"cuda:N\""));
}

}  // namespace densa
