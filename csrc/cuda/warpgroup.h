// Tensor cores as a warpgroup of sm_90a uses them (wgmma), the copy engine that feeds them (TMA)
// and the barriers between the two. Everything goes on while the threads do: nothing is there
// before it was waited for.
//
// Tile memory is the block's dynamic shared memory from a multiple of 1024 bytes on, of which
// kTileSlack bytes may be lost. It is known by addresses; copies write it, products read it.
//
// - tile_memory(): its first address
// - Barriers<N>: each counts arrivals and bytes, of one phase after the other. init(i, arrivals) by
//   one thread, which then calls barriers_ready(), before a __syncthreads. arrive(i); expect(i,
//   bytes): an arrival that lets the phase wait for so many bytes as well. wait(i, parity): until
//   the phase of that parity is over; the first one is 0, and one of parity 1 lies before it
// - copy_box(map, near, far, z, to, barriers, i): a box of cuda/tensor_map.h whose first number is
//   (z, far, near) to address `to`, a multiple of 1024; counts kBoxBytes at barrier i
// - A box lies as 64 rows of 128 bytes; the 16-byte chunk c of row r is at c ^ (r % 8) (the
// 128-byte
//   swizzle). Eight rows are an atom of 1024 bytes
// - operand_at(address): the operand of a product in boxes one behind the other, 64 outer each:
//   rows of a box are outer and its columns k, or the other way round where the product is told
//   that the operand is transposed. Operands 16 k further are kStepAlongK or kStepAcrossK more
// - warpgroup_multiply<kBFloat16, kN, kATransposed, kWTransposed>(sum, a, w): a warpgroup's sum (64
// x kN) += a (64 x
//   16) * w (16 x kN), of bfloat16 or half. With warp w, g = lane / 4 and p = lane % 4, sum[j][c]
//   is (16 w + g + 8 (c / 2), 8 j + 2 p + c % 2). Products are exact, the order and rounding of the
//   sum are the hardware's; the emulation cuts off what does not fit
// - warpgroup_begin(): before the first product, and after the threads have touched `sum`
// - warpgroup_end_group(); warpgroup_wait<n>(sum): until at most n latest groups are under way, so
//   that their operands may be overwritten and, for n = 0, `sum` be used
//
// All threads of a warpgroup (four warps from a multiple of four) call the multiply words.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/kernel.h"
#include "cuda/tensor_map.h"

namespace densa::inline DENSA_ISA {

inline constexpr std::size_t kTileSlack = 1024;
inline constexpr std::uint64_t kStepAlongK = 32 / 16, kStepAcrossK = 2048 / 16;
inline constexpr int kWarpgroup = 128;

// 14 bits each of the address, of the bytes from one box to the next and from one atom to the next,
// all by 16; the swizzle's number. Addresses of shared memory have 18 bits.
DENSA_HD inline std::uint64_t operand_at(std::uint32_t address) {
  constexpr std::uint64_t kAtomBytes = 1024, kSwizzle128 = 1;
  constexpr std::uint32_t kBoxStep = cuda::kBoxBytes / 16 << 16;
  return kSwizzle128 << 62 | kAtomBytes / 16 << 32 | (kBoxStep + address / 16);
}

}  // namespace densa::inline DENSA_ISA

#if defined(DENSA_EMULATED)
#include "cuda/emulation/warpgroup.h"
#else
#include "cuda/hardware_warpgroup.h"
#endif
