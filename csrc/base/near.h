// The nearest known name, for error messages.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace densa {

// "; did you mean 'relu' or 'relu6'?", or nothing when no name is near.
std::string suggestion(std::string_view name, std::span<const std::string_view> known);

}  // namespace densa
