// The namespace of this CPU level, and a check that the compiler's flags fit it.
//
// A kernel file is compiled once per level with -DDENSA_ISA=v2, v3, v4, v4x or baseline. Everything
// it defines lives in `namespace densa::inline DENSA_ISA`, so no two levels share a symbol. CUDA
// code is level gpu: a thread is one lane, so there are no vectors.
#pragma once

#ifndef DENSA_ISA
#error "define DENSA_ISA: v2, v3, v4, v4x (x86-64), baseline (aarch64) or gpu"
#endif

#define DENSA_LEVEL_gpu 0
#define DENSA_LEVEL_baseline 1
#define DENSA_LEVEL_v2 2
#define DENSA_LEVEL_v3 3
#define DENSA_LEVEL_v4 4
#define DENSA_LEVEL_v4x 5
#define DENSA_LEVEL_JOIN(a, b) a##b
#define DENSA_LEVEL_OF(isa) DENSA_LEVEL_JOIN(DENSA_LEVEL_, isa)
#define DENSA_LEVEL DENSA_LEVEL_OF(DENSA_ISA)

#define DENSA_VECTORS (DENSA_LEVEL != DENSA_LEVEL_gpu)

#if DENSA_LEVEL == DENSA_LEVEL_gpu
#if !defined(__CUDACC__) && !defined(DENSA_EMULATED)
#error "DENSA_ISA=gpu is for CUDA, real or emulated"
#endif
#elif DENSA_LEVEL == DENSA_LEVEL_baseline
#ifndef __aarch64__
#error "DENSA_ISA=baseline is aarch64 with Neon"
#endif
#elif DENSA_LEVEL == DENSA_LEVEL_v2
#if !defined(__SSE4_2__) || defined(__AVX__)
#error "DENSA_ISA=v2 needs -march=x86-64-v2"
#endif
#elif DENSA_LEVEL == DENSA_LEVEL_v3
#if !defined(__AVX2__) || !defined(__FMA__) || defined(__AVX512F__)
#error "DENSA_ISA=v3 needs -march=x86-64-v3"
#endif
#elif DENSA_LEVEL == DENSA_LEVEL_v4 || DENSA_LEVEL == DENSA_LEVEL_v4x
#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__)
#error "DENSA_ISA=v4 needs -march=x86-64-v4"
#endif
#else
#error "unknown DENSA_ISA: use v2, v3, v4, v4x, baseline or gpu"
#endif
