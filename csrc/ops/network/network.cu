// Chains of narrow layers, and whole steps of training, in one launch: programs of row_steps.cuh.
#include "ops/network/network.h"

#include <bit>

#include "ops/network/row_steps.cuh"

namespace densa::inline DENSA_ISA {
namespace {

Formula formula_of(const std::string& name) {
  for (int i = 0; const NumberedFormula& one : kNumberedFormulas) {
    if (name == one.name) return static_cast<Formula>(i);
    ++i;
  }
  return Formula::kNone;
}

// Rows of a tile: a large one from 128 large tiles on, where it fits.
template <class T>
int tile_for(std::int64_t rows, std::int64_t columns) {
  const bool many = rows >= 128 * kMostTile<T> &&
                    kMostTile<T> * columns * static_cast<std::int64_t>(sizeof(T)) <= kTileBytes;
  return many ? kMostTile<T> : kLeastTile;
}

template <class T>
void launch_rows(const DeviceCall& call, const RowCall<T>& rows, std::int64_t blocks) {
#if !defined(DENSA_EMULATED)
  static_assert(sizeof(RowCall<T>) <= 4096 && sizeof(SumCall<T>) <= 4096);
#endif
  cuda::launch(call.stream, {{static_cast<unsigned>(blocks)}, {kBlock}}, run_rows<T>, rows);
}

std::int64_t count_tiles(std::int64_t rows, std::int64_t tile) { return (rows + tile - 1) / tile; }

// ---- network: values go to and fro between two runs of columns ----------------------------------

static_assert(6 * kMostLayers + 1 <= kMostRowInputs && 3 * kMostLayers + 2 <= kMostRowSteps);

template <class T>
void eval_network(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  RowCall<T> program;
  program.rows = x.shape[0];
  for (std::size_t i = 0; i < call.in.size(); ++i)
    program.in[i] = Global<const T>(call.in[i].as<const T>());
  program.out[0] = Global<T>(y.as<T>());
  const std::vector<NetworkLayer> layers = parse_layers(call.attrs.get_string("layers", ""));
  auto width = static_cast<std::uint16_t>(x.shape[1]);
  std::uint16_t half = 0;
  for (const View& view : call.in)
    half = std::max(half, static_cast<std::uint16_t>((view.shape.back() + 3) / 4 * 4));
  std::uint16_t now = 0;
  const auto columns = [&] { return RowOperand::of(RowOperand::kColumns, now); };
  const auto input = [](std::size_t i) {
    return RowOperand::of(RowOperand::kScalar, static_cast<std::int64_t>(i));
  };
  const auto add = [&](RowStep step) { program.steps[program.count++] = step; };
  add({.kind = RowStepKind::kLoad, .a = input(0), .wide = width});
  std::size_t next = 1;
  for (const NetworkLayer& layer : layers) {
    const auto fn = static_cast<std::int8_t>(formula_of(layer.activation));
    bool finished = fn < 0;
    if (layer.dense) {
      RowStep step{.kind = RowStepKind::kDense, .a = columns(), .c = input(next), .in = width};
      width = static_cast<std::uint16_t>(call.in[next].shape[1]);
      now = static_cast<std::uint16_t>(half - now);
      next += layer.bias ? 2 : 1;
      step.flags = layer.bias ? kHasBias : 0;
      step.out = now;
      step.wide = width;
      if (!layer.norm) {
        step.fn = fn;
        step.parameter = layer.parameter;
        finished = true;
      }
      add(step);
    }
    if (layer.norm) {
      const bool last = !finished && layer.parameter == 0;  // the step's parameter is epsilon
      add({.kind = RowStepKind::kNorm,
           .fn = last ? fn : std::int8_t{-1},
           .a = columns(),
           .c = input(next),
           .out = now,
           .wide = width,
           .parameter = layer.epsilon});
      next += 4;
      finished = finished || last;
    }
    if (!finished)
      add({.kind = RowStepKind::kUnary,
           .fn = fn,
           .a = columns(),
           .out = now,
           .wide = width,
           .parameter = layer.parameter});
  }
  add({.kind = RowStepKind::kStore, .a = columns(), .b = input(0), .wide = width});
  const std::int64_t held = tile_columns(2 * half);
  program.columns = static_cast<int>(held);
  program.tile = tile_for<T>(program.rows, held);
  const std::int64_t tiles = count_tiles(program.rows, program.tile);
  launch_rows(call, program, std::min<std::int64_t>(tiles, 1 << 14));
}

// ---- row_program --------------------------------------------------------------------------------

std::int64_t sum_size_of(const Ints& sizes) {
  std::int64_t total = 0;
  for (std::int64_t size : sizes) total += size;
  return total;
}

// Fewer rows never take more blocks than these.
std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs& attrs) {
  const TypeInfo& x = in[static_cast<std::size_t>(attrs.get_int("rows_of", 0))];
  const std::int64_t blocks = std::min(kMostRowBlocks, count_tiles(x.shape[0], kLeastTile));
  return static_cast<std::size_t>(blocks * sum_size_of(attrs.get_ints("sizes"))) *
         arithmetic_size(x.dtype);
}

template <class T>
RowMask<T> mask_of(const Ints& words, std::size_t at) {
  return {
      philox_key(static_cast<std::uint64_t>(words[at]), static_cast<std::uint64_t>(words[at + 1])),
      {words[at + 2], words[at + 3], words[at + 4]},
      keep_of<T>(std::bit_cast<double>(words[at + 5]))};
}

template <class T>
void eval_program(const DeviceCall& call) {
  const Ints sizes = call.attrs.get_ints("sizes"), widths = call.attrs.get_ints("widths"),
             masks = call.attrs.get_ints("masks");
  RowCall<T> program;
  program.rows = call.in[static_cast<std::size_t>(call.attrs.get_int("rows_of", 0))].shape[0];
  program.columns = static_cast<int>(call.attrs.get_int("columns", 0));
  program.sum_size = sum_size_of(sizes);
  program.sums = Global<T>(static_cast<T*>(call.scratch));
  program.plan = Global<const DeviceStep>(call.step);
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    if (is_integer(call.in[i].dtype)) {
      program.labels = DeviceLabels::of(call.in[i]);
    } else {
      program.in[i] = Global<const T>(call.in[i].as<const T>());
    }
  }
  for (std::size_t i = 0; i < masks.size() / kRowMaskWords; ++i)
    program.masks[i] = mask_of<T>(masks, i * kRowMaskWords);
  const std::vector<RowStep> steps = parse_row_steps(call.attrs.get_ints("steps"));
  std::copy(steps.begin(), steps.end(), program.steps);
  program.count = static_cast<int>(steps.size());
  const auto stored = call.out.size() - sizes.size();
  for (std::size_t i = 0; i < stored; ++i) program.out[i] = Global<T>(call.out[i].as<T>());
  program.tile = tile_for<T>(program.rows, program.columns);
  const std::int64_t blocks = std::min(kMostRowBlocks, count_tiles(program.rows, program.tile));
  launch_rows(call, program, blocks);
  if (sizes.empty()) return;
  SumCall<T> sums;
  sums.size = program.sum_size;
  sums.blocks = static_cast<int>(blocks);
  sums.outputs = static_cast<int>(sizes.size());
  sums.sums = program.sums;
  for (std::size_t i = 0, begin = 0; i < sizes.size(); ++i) {
    sums.output[i] = {FloatMemory<T>::out(call.out[stored + i]), static_cast<std::int64_t>(begin),
                      widths[i] * program.rows};
    begin += static_cast<std::size_t>(sizes[i]);
  }
  cuda::launch(call.stream, {{static_cast<unsigned>(count_tiles(sums.size, kWarp))}, {kBlock}},
               join_sums<T>, sums);
}

bool is_double(const DeviceCall& call) { return call.out[0].dtype == DType::kFloat64; }

void network_by_dtype(const DeviceCall& call) {
  (is_double(call) ? eval_network<double> : eval_network<float>)(call);
}
void program_by_dtype(const DeviceCall& call) {
  (is_double(call) ? eval_program<double> : eval_program<float>)(call);
}

constexpr DeviceOp kOps[] = {
    {.name = "network", .eval = &network_by_dtype},
    {.name = "row_program", .eval = &program_by_dtype, .scratch_bytes = &scratch_bytes},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> network();
std::span<const DeviceOp> network() { return kOps; }

}  // namespace densa::cuda_ops
