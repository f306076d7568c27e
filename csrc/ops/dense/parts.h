// What the dense kernel files share on one CPU level.
#pragma once
#include "ops/dense/dense.h"
#include "simd/level.h"

namespace densa::inline DENSA_ISA {

extern const DenseKernels<float> dense_f32;
extern const DenseKernels<double> dense_f64;

// layout.kernel.cpp
template <class T>
void transpose_panels(const Transpose<T>& a);
template <class T>
void pack_panels(const Pack<T>& a);
template <class T>
void unpack_panels(const Unpack<T>& a);
template <class T>
void sum_columns(const DenseDb<T>& a);
// backward.kernel.cpp
template <class T>
void dense_dx(const DenseDx<T>& a);
template <class T>
void dense_dw(const DenseDw<T>& a);

}  // namespace densa::inline DENSA_ISA
