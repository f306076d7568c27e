// Elementwise kernels: y = f(z) and c = f(a, b), over contiguous memory.
//
// They serve eager tensors (row-major) and compiled plans (panels) alike: pointers and sizes only,
// no alignment asked for, in place allowed (dst may be the same pointer as a source, not overlap
// it otherwise). Padding lanes of a panel are computed like all others: f(0) need not be 0, so a
// plan that must keep padding zero masks the last panel itself.
#pragma once
#include <cstddef>
#include <cstdint>

namespace densa {

// What the slope of a unary formula is computed from.
enum class Saved : std::uint8_t {
  kInput,   // z
  kOutput,  // y
  kNone,    // no gradient (sign, floor, ceil, round)
};

// `params` holds the formula's parameters in the order of its attributes; null if it has none.
template <class T>
struct UnaryFns {
  void (*value)(T* y, const T* z, std::size_t n, const double* params);
  // dx = dy * f'(.)
  void (*slope)(T* dx, const T* dy, const T* saved, std::size_t n, const double* params);
  // y = f(z) and s = f'(z) from one evaluation; y or s may be z.
  void (*value_and_slope)(T* y, T* s, const T* z, std::size_t n, const double* params);
  // dx = dy * d(slope)/d(saved)
  void (*curve)(T* dx, const T* dy, const T* saved, std::size_t n, const double* params);
};

inline constexpr int kMaxUnaryParams = 1;

struct UnaryKernel {
  const char* name;
  Saved saved;
  const char* attribute;  // name of the formula's parameter, null if it has none
  double missing;         // its value when the attribute is absent
  UnaryFns<float> f32;
  UnaryFns<double> f64;
  template <class T>
  const UnaryFns<T>& fns() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return f32;
    } else {
      return f64;
    }
  }
};

// How a binary kernel steps through one operand.
enum class Step : std::uint8_t {
  kEach,    // one element per result
  kScalar,  // one element for all results
  kRow16,   // the same 16 elements for each row of 16 results: a row vector against a panel
};

template <class T>
using BinaryFn = void (*)(T* dst, const T* a, const T* b, std::size_t n, Step step_a, Step step_b);

struct BinaryKernel {
  const char* name;
  BinaryFn<float> f32;
  BinaryFn<double> f64;
  template <class T>
  BinaryFn<T> fn() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return f32;
    } else {
      return f64;
    }
  }
};

// All kernels of one CPU level, in the order of list.inc.
struct UnaryTable {
  const UnaryKernel* kernels;
  std::size_t count;
};
struct BinaryTable {
  const BinaryKernel* kernels;
  std::size_t count;
};

// This machine's level.
const UnaryTable& unary_table();
const BinaryTable& binary_table();
// Its kernel of that name, or null for a name that is not in list.inc.
const UnaryKernel* find_unary(const char* name);
const BinaryKernel* find_binary(const char* name);

}  // namespace densa
