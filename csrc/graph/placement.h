// Where values lie while a Program is lowered: their formats, buffers and the conversions between.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "graph/lower.h"
#include "graph/stages_dense.h"

namespace densa {

// Every value has up to three places: row-major ("flat"), panels, and row-panels (transposed);
// whoever needs a place that is not there yet inserts the conversion.
class Placement {
 protected:
  explicit Placement(Plan& plan)
      : plan_(plan),
        program_(plan.program_),
        places_(program_.values.size()),
        uses_(program_.use_counts()) {}

  enum Format { kFlat, kPanelled, kTransposed };
  struct Places {
    std::array<int, 3> buffer{-1, -1, -1};
    bool nowhere() const { return buffer == std::array<int, 3>{-1, -1, -1}; }
  };

  // ---- what values are ----

  const TypeInfo& type(int id) const { return program_.values[id].type; }
  // Any value of several axes is a matrix of its last one: those before it count its rows.
  bool matrix(int id) const {
    const TypeInfo& t = type(id);
    return is_floating(t.dtype) && t.shape.rank() >= 2 && t.shape.back() > 0 && lead(id) != 0;
  }
  bool plain_matrix(int id) const { return matrix(id) && type(id).shape.rank() == 2; }
  // The axes before the last as one: open where the first is.
  std::int64_t lead(int id) const {
    const Dims& shape = type(id).shape;
    std::int64_t rows = 1;
    for (int i = 0; i + 1 < shape.rank(); ++i) rows *= shape[i];
    return rows;
  }
  bool vector(int id) const {
    const TypeInfo& t = type(id);
    return is_floating(t.dtype) && t.shape.rank() == 1 && t.shape[0] > 0;
  }
  bool number(int id) const {
    const TypeInfo& t = type(id);
    return is_floating(t.dtype) &&
           std::all_of(t.shape.begin(), t.shape.end(), [](auto d) { return d == 1; });
  }
  // A vector, or a matrix of one fixed row: its panels and its row-major form are the same memory.
  bool one_row(int id) const { return vector(id) || (matrix(id) && lead(id) == 1); }
  bool dynamic(int id) const { return !type(id).shape.empty() && is_open(type(id).shape[0]); }
  // One row for each of the batch's.
  bool by_batch(int id) const { return !type(id).shape.empty() && type(id).shape[0] == kRows; }
  std::int64_t cols(int id) const { return type(id).shape.back(); }
  std::int64_t panels(int id) const { return panel_count(cols(id)); }
  std::int64_t capacity_rows(int id) const {
    if (vector(id)) return 1;
    return with_rows(lead(id), plan_.capacity_);
  }
  std::int64_t trailing(int id) const {  // elements per row
    std::int64_t n = 1;
    for (int i = 1; i < type(id).shape.rank(); ++i) n *= type(id).shape[i];
    return n;
  }
  std::size_t item(int id) const { return item_size(type(id).dtype); }
  Extent extent(int id) const { return {vector(id) ? 1 : lead(id)}; }
  bool made_by_node(int id) const { return program_.values[id].source == Source::kNode; }

  // ---- buffers ----

  int new_buffer(std::size_t bytes, std::string label) {
    plan_.buffers_.push_back({bytes, nullptr, nullptr, std::move(label)});
    return static_cast<int>(plan_.buffers_.size()) - 1;
  }
  int variable_buffer(const std::shared_ptr<Variable>& variable) {
    for (std::size_t b = 0; b < plan_.buffers_.size(); ++b)
      if (plan_.buffers_[b].variable == variable) return static_cast<int>(b);
    plan_.buffers_.push_back({0, variable, nullptr, variable->name()});
    return static_cast<int>(plan_.buffers_.size()) - 1;
  }
  std::size_t bytes_of(int id, Format format) const {
    byte_count(with_rows(type(id).shape, plan_.capacity_), item(id));  // throws beyond reason
    if (format == kPanelled)
      return static_cast<std::size_t>(panels(id) * capacity_rows(id) * kPanel) * item(id);
    if (format == kTransposed)
      return static_cast<std::size_t>(panel_count(capacity_rows(id)) * cols(id) * kPanel) *
             item(id);
    return static_cast<std::size_t>(
               padded(element_count(with_rows(type(id).shape, plan_.capacity_)))) *
           item(id);
  }
  // A new place for a value that a stage is about to write.
  int make(int id, Format format) {
    if (format == kPanelled && one_row(id)) format = kFlat;
    int& buffer = places_[id].buffer[format];
    buffer = new_buffer(bytes_of(id, format), cat('%', id));
    if (one_row(id)) places_[id].buffer[kPanelled] = buffer;
    return buffer;
  }
  int find(int id, Format format) const {
    return places_[id].buffer[one_row(id) && format == kPanelled ? kFlat : format];
  }

  // The buffer with the value in that format, made on demand.
  int need(int id, Format format) {
    if (format == kPanelled && one_row(id)) format = kFlat;
    if (const int buffer = places_[id].buffer[format]; buffer >= 0) return buffer;
    const ProgramValue& value = program_.values[id];
    if (value.source == Source::kVariable &&
        (format == variable_format(value.variable) || one_row(id)))
      return places_[id].buffer[format] = variable_buffer(value.variable);
    if (value.source == Source::kConstant && format == kFlat)
      return places_[id].buffer[kFlat] = constant_buffer(id);
    is_floating(type(id).dtype) && type(id).dtype == DType::kFloat64 ? convert<double>(id, format)
                                                                     : convert<float>(id, format);
    return places_[id].buffer[format];
  }
  Format variable_format(const std::shared_ptr<Variable>& variable) const {
    return variable->layout() == Layout::kPanels ? kPanelled : kFlat;
  }
  // In which a value lies that no stage has asked for yet.
  Format first_format(int id) const {
    const auto& variable = program_.values[id].variable;
    return variable ? variable_format(variable) : kFlat;
  }
  int constant_buffer(int id) {
    const ProgramValue& value = program_.values[id];
    const int buffer = new_buffer(bytes_of(id, kFlat), "constant");
    auto storage = Storage::zeros(bytes_of(id, kFlat) + 64);
    const std::int64_t n = element_count(value.type.shape);
    if (value.constant) {
      const View to{storage->data(), value.type.dtype, value.type.shape,
                    contiguous_strides(value.type.shape)};
      copy_view(to, as_tensor(value.constant, "plan").view());
    } else {
      visit_dtype(value.type.dtype, [&](auto zero) {
        using T = decltype(zero);
        std::fill_n(static_cast<T*>(storage->data()), n, static_cast<T>(value.number));
      });
    }
    plan_.buffers_[buffer].fixed = std::move(storage);
    return buffer;
  }

  template <class T>
  void convert(int id, Format format) {
    if (format == kTransposed) {
      auto stage = std::make_unique<TransposeStage<T>>();
      stage->y = source<T>(id);
      stage->yT = {make(id, kTransposed), cols(id) * kPanel, extent(id), {}};
      stage->cols = cols(id);
      cut(*stage, id, {id});
      touch(*stage, stage->y.buffer, false, true);
      touch(*stage, stage->yT.buffer, true, true);
      add(std::move(stage), cat("transpose %", id));
    } else if (format == kPanelled) {
      const int flat = need(id, kFlat);
      auto stage = std::make_unique<PackStage<T>>();
      stage->x.buffer = flat;
      make(id, kPanelled);
      stage->y = source<T>(id);
      stage->cols = cols(id);
      if (dynamic(id)) by_rows(*stage, id);
      touch(*stage, flat, false, true);
      touch(*stage, stage->y.buffer, true, true);
      add(std::move(stage), cat("pack %", id));
    } else {
      if (!matrix(id) || find(id, kPanelled) < 0) {
        if (program_.values[id].source != Source::kVariable)
          throw ValueError(cat("plan: value %", id, " is read before it is made"));
        need(id, kPanelled);
      }
      auto stage = std::make_unique<UnpackStage<T>>();
      stage->x = source<T>(id);
      stage->y.buffer = make(id, kFlat);
      stage->cols = cols(id);
      if (dynamic(id)) by_rows(*stage, id);
      touch(*stage, stage->x.buffer, false, true);
      touch(*stage, stage->y.buffer, true, true);
      add(std::move(stage), cat("unpack %", id));
    }
  }

  template <class T>
  MatrixRef<T> source(int id) {
    return {need(id, kPanelled), capacity_rows(id) * kPanel, extent(id), {}};
  }
  template <class T>
  MatrixRef<T> target(int id) {
    return {make(id, kPanelled), capacity_rows(id) * kPanel, extent(id), {}};
  }
  // The result may take over the memory of an operand of the same type that nobody else reads.
  template <class T>
  MatrixRef<T> target_over(int id, std::initializer_list<int> operands) {
    for (int from : operands) {
      if (from < 0 || !made_by_node(from) || uses_[from] != 1 || !(type(from) == type(id)))
        continue;
      const int buffer = find(from, kPanelled);
      if (buffer < 0 || plan_.buffers_[buffer].variable || plan_.buffers_[buffer].fixed) continue;
      places_[id].buffer[kPanelled] = buffer;
      if (one_row(id)) places_[id].buffer[kFlat] = buffer;
      return {buffer, capacity_rows(id) * kPanel, extent(id), {}};
    }
    return target<T>(id);
  }

  // ---- stages ----

  // Cuts a stage that makes a value from others, any rows of any panels at a time. Whoever works on
  // a value that was made in whole panels (see in_panels) stays with them, and so needs no barrier.
  void cut(Stage& stage, int id, std::initializer_list<int> from) {
    const std::int64_t n = panels(id);
    by_panels(stage, n);
    if (!dynamic(id) || one_row(id)) return;
    for (int operand : from)
      if (operand >= 0 && whole_[operand]) return in_panels(stage, id);
    if (n == 1) {
      by_rows(stage, id);
    } else if (uneven(n)) {
      stage.split = Split::kTiles;
      stage.cut_rows = extent(id);
    }
  }
  void by_rows(Stage& stage, int id) const {
    stage.split = Split::kRows;
    stage.cut_rows = extent(id);
  }
  // Cuts a stage that needs all rows of each panel.
  void in_panels(Stage& stage, int id) {
    by_panels(stage, panels(id));
    whole_[id] = 1;
  }
  // Would whole panels leave a thread idle for more than a fiftieth of the time?
  bool uneven(std::int64_t n) const {
    const std::int64_t most = (n + threads_ - 1) / threads_ * threads_;
    return 50 * (most - n) > most;
  }
  static void by_panels(Stage& stage, std::int64_t units) {
    stage.split = Split::kPanels;
    stage.units = units;
  }
  void touch(Stage& stage, int buffer, bool write, bool own) const {
    if (buffer >= 0) stage.accesses.push_back({buffer, write, own, plan_.buffers_[buffer].local});
  }
  template <class S>
  void add(std::unique_ptr<S> stage, const std::string& label) {
    stage->label = label;
    plan_.stages_.push_back(std::move(stage));
  }

  Plan& plan_;
  Program& program_;
  std::vector<Places> places_;
  std::vector<int> uses_;
  std::vector<char> whole_ = std::vector<char>(program_.values.size(), 0);
  const std::int64_t threads_ = thread_limit().threads;
};

}  // namespace densa
