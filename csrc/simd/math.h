// Elementary functions over V = float, double, Vec<float> or Vec<double>: exp, expm1, log, log1p,
// sigmoid, tanh, erf, softplus, sin, cos and pow.
//
// float32 is within 2 ulp of the exact value for every input, float64 within 4, with the right
// answers at zeros, infinities, NaN and denormal numbers. Where the caller has denormals flushed to
// zero, they are zero here too. A scalar gets the same bits as a lane, so the tail of a loop may
// run one element at a time. Bits differ between CPU levels.
#pragma once

#include "simd/math_exp.h"
#include "simd/math_log.h"
#include "simd/math_trig.h"
