// Errors that reach Python as ValueError, TypeError, IndexError, RuntimeError, MemoryError.
#pragma once
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace densa {

struct ValueError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
struct ShapeError : ValueError {
  using ValueError::ValueError;
};
struct TypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct IndexError : std::out_of_range {
  using std::out_of_range::out_of_range;
};

// Memory that was asked for and is not there; says how much.
class MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

// Reading the value of a recorded (symbolic) tensor; the message names the way out.
struct SymbolicError : TypeError {
  using TypeError::TypeError;
};
// An op whose result shape depends on the number of rows in a way one recording cannot hold: the
// caller records once per batch size instead.
struct NeedsRows : ShapeError {
  using ShapeError::ShapeError;
};

// cat("dense: x has ", 3, " features") == "dense: x has 3 features"
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace densa
