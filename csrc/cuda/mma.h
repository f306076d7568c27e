// Tensor cores, and copies into shared memory that nobody waits for: what sm_80 and newer have.
//
// A product c (16 x 8) += a (16 x K) * b (K x 8) belongs to a warp, all 32 threads of which call.
// Thread t holds, with g = t / 4 and p = t % 4:
//
//   c[0..3]  c(g, 2p)  c(g, 2p + 1)  c(g + 8, 2p)  c(g + 8, 2p + 1)
//   K = 8, 32 bits each: a[0..3]  a(g, p)  a(g + 8, p)  a(g, p + 4)  a(g + 8, p + 4)
//                        b[0..1]  b(p, g)  b(p + 4, g)
//   K = 16, two of 16 bits each, the even one below: a[0..3]  a(g, 2p)  a(g + 8, 2p)  a(g, 2p + 8)
//                        a(g + 8, 2p + 8); b[0..1]  b(2p, g)  b(2p + 8, g), and their neighbours
//
// - mma_tf32, mma_bf16, mma_f16: products are exact, the order and rounding of the sum are the
//   hardware's; the emulation cuts off what does not fit
// - to_tf32: the nearest number of 11 bits, halves away from zero, as mma_tf32 takes it
// - copy_four_async, copy_one_async (x, i, p, at, count): elements of p from `at` to x from i, of
//   which `count` exist and the rest are zeros
// - copy_eight_async (x, i, p, at, count): eight numbers of 16 bits to the four words from x[i]
// - load_matrices(x, i, out): four matrices of 8 rows of 16 bytes, eight numbers of 16 bits each;
//   thread t says by i where row t % 8 of matrix t / 8 begins, and gets elements (t / 4, 2 (t % 4))
//   and the next of matrix j in out[j]; load_matrices_transposed: (2 (t % 4), t / 4) and the one
//   below. So an operand's fragment comes from either layout of its tile
// - pack_bfloat16, pack_float16 (low, high): two numbers rounded to nearest even, in one word
// - copies_end_group(), copies_wait<n>(): closes a group of a thread's copies; waits until at most
//   its n latest groups are under way. Other threads see them behind the barrier that follows.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/kernel.h"

#if defined(DENSA_EMULATED)
#include "cuda/emulation/mma.h"
#else
#include "cuda/hardware_mma.h"
#endif
