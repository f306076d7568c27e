// Steps on row-major memory: conversion of inputs, and any op by its own evaluation.
#pragma once
#include <array>
#include <cstring>
#include <vector>

#include "ops/feed/feed.h"
#include "ops/op.h"
#include "predict/step.h"

namespace densa::predict {

// An input of any dtype as floats, scaled and shifted.
class FeedStep final : public Step {
 public:
  int input = 0;
  Feed feed;  // cols, panels, affine, scale, offset are set
  FeedFn convert = nullptr;
  Place y;
  void places(const Visit& visit) override { visit(y); }
  void run(const Frame& f, Range) const override {
    Feed call = feed;
    call.data = f.in[input];
    call.row_end = f.rows;
    call.y = y.address(f);
    call.stride = feed.panels ? f.rows * kPanel : feed.cols;
    convert(call);
  }
};

class CopyStep final : public Step {
 public:
  Place x, y;
  std::size_t row_bytes = 0;
  void places(const Visit& visit) override { visit(x), visit(y); }
  void run(const Frame& f, Range) const override {
    std::memcpy(y.address(f), x.address(f), row_bytes * static_cast<std::size_t>(f.rows));
  }
};

// Parts side by side in each row.
class ConcatenateStep final : public Step {
 public:
  struct Part {
    Place place;
    std::size_t bytes;  // of a row
  };
  std::vector<Part> parts;
  Place y;
  std::size_t row_bytes = 0;
  void places(const Visit& visit) override {
    for (Part& part : parts) visit(part.place);
    visit(y);
  }
  void run(const Frame& f, Range) const override {
    std::byte* to = y.address(f);
    for (const Part& part : parts) {
      const std::byte* from = part.place.address(f);
      for (std::int64_t r = 0; r < f.rows; ++r)
        std::memcpy(to + static_cast<std::size_t>(r) * row_bytes,
                    from + static_cast<std::size_t>(r) * part.bytes, part.bytes);
      to += part.bytes;
    }
  }
};

class OpStep final : public Step {
 public:
  struct Operand {
    Place place;
    TypeInfo type;
  };
  const Op* op = nullptr;
  Attrs attrs;
  std::vector<Operand> in, out;

  void places(const Visit& visit) override {
    for (Operand& operand : in) visit(operand.place);
    for (Operand& operand : out) visit(operand.place);
  }
  std::size_t op_scratch(std::int64_t rows) const override {
    if (op->scratch_bytes == nullptr) return 0;
    std::vector<TypeInfo> types;
    for (const Operand& operand : in)
      types.push_back({operand.type.dtype, with_rows(operand.type.shape, rows)});
    return op->scratch_bytes(types, attrs);
  }
  void run(const Frame& f, Range) const override {
    std::array<View, kMost> views;
    std::size_t count = 0;
    const auto add = [&](const std::vector<Operand>& operands) {
      const std::size_t first = count;
      for (const Operand& operand : operands) {
        const Dims shape = with_rows(operand.type.shape, f.rows);
        views[count++] = {operand.place.address(f), operand.type.dtype, shape,
                          contiguous_strides(shape)};
      }
      return std::span<const View>(views.data() + first, count - first);
    };
    const auto ins = add(in);
    const auto outs = add(out);
    op->eval({ins, outs, attrs, f.op_scratch});
  }
  static constexpr std::size_t kMost = 40;  // operands
};

}  // namespace densa::predict
