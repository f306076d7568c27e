// Where memory lies: the CPU, or a GPU by its number.
#pragma once
#include <string>
#include <string_view>

namespace densa {

struct Device {
  int gpu = -1;  // -1: the CPU
  constexpr bool is_cpu() const { return gpu < 0; }
  friend constexpr bool operator==(Device, Device) = default;
};
inline constexpr Device kCpu{};

std::string to_string(Device device);  // "cpu", "cuda:0"
// "cpu", "cuda" (the first GPU) or "cuda:N"; throws ValueError for anything else.
Device device_from_name(std::string_view name);

}  // namespace densa
