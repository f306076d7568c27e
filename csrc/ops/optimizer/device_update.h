// One optimizer step of many variables on a GPU, with the norms that clipping asks for: what
// Backend::update is given.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "base/gpu.h"
#include "ops/optimizer/optimizer.h"

namespace densa {

struct DeviceStep;

// Blocks of threads take variables in pieces of this many elements.
inline constexpr std::int64_t kUpdatePiece = 1024;

// One variable of n contiguous elements. All pointers are device memory and do not overlap; w and
// the slots are 16-byte aligned.
struct DeviceTarget {
  void* w;
  const void* g;
  void* slots[kMaxSlots];
  std::int64_t n;
  std::int64_t first_piece;  // number of pieces of the targets before it
  std::int64_t decay;        // 1: weight decay applies, else 0
  DType g_dtype;             // that of w; or 16 bits, if w is float32
  // Null, or where the step writes the float32 w rounded to `rounded`, too, in 16 bits or float32.
  void* copy;
  DType copy_dtype, rounded;
};

// Sets every first_piece; returns the number of pieces of all targets.
inline std::int64_t cut_into_pieces(std::span<DeviceTarget> targets) {
  std::int64_t pieces = 0;
  for (DeviceTarget& target : targets) {
    target.first_piece = pieces;
    pieces += (target.n + kUpdatePiece - 1) / kUpdatePiece;
  }
  return pieces;
}

// The targets of one dtype.
struct DeviceTargets {
  DType dtype;
  const DeviceTarget* targets;  // device memory, after cut_into_pieces
  int count;
  std::int64_t pieces;
  const void* numbers;  // device memory: StepNumbers<T>[steps][2], second index DeviceTarget::decay
};

struct DeviceUpdate {
  const char* kind;  // a name of list.inc
  std::span<const DeviceTargets> groups;
  // Largest norm of one gradient, or of all groups' together; 0: no limit. The factor that a norm
  // asks for stands in the place of StepNumbers::grad_scale. clip_value comes from the numbers.
  double clip_norm = 0, global_clip_norm = 0;
  // 1 / what the loss was multiplied with, for norms; where there are none, the numbers bring it.
  double unscale = 1;
  // Null, or what the loss was multiplied with, too, and its good steps, in device memory;
  // loss_scale.h.
  float* loss_scale = nullptr;
  std::int32_t* good_steps = nullptr;
  std::int64_t growth_steps = 0;
  void* scratch = nullptr;  // update_scratch_bytes() bytes, 256-byte aligned, uninitialised
  cuda::Stream stream = nullptr;
  // Device memory: row step->index of numbers, nothing at all while step->failed; null: row 0.
  const DeviceStep* step = nullptr;
};

}  // namespace densa
