// Lowering of what changes variables: optimizer steps, gradient norms, assignments.
#pragma once
#include <limits>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/placement.h"
#include "graph/stages_update.h"

namespace densa {

class UpdateLowering : protected Placement {
 protected:
  explicit UpdateLowering(Plan& plan) : Placement(plan) {}

  // A sum down the rows of a matrix.
  bool is_column_sum(const ProgramNode& node) const {
    if (node.kind != NodeKind::kOp) return false;
    const std::string_view name = node.op->name;
    if (name != "sum" && name != "sum_to") return false;
    const int x = node.in[0], y = node.out[0];
    if (!matrix(x) || one_row(x) || !one_row(y) || cols(y) != cols(x)) return false;
    if (name == "sum_to") return true;
    const int rank = type(x).shape.rank();
    std::vector<char> summed(static_cast<std::size_t>(rank), 0);
    const Ints axes = node.attrs.get_ints("axis");
    for (std::int64_t axis : axes) summed[static_cast<std::size_t>((axis + rank) % rank)] = 1;
    const auto left = std::find(summed.begin(), summed.end(), 0);
    return !axes.empty() && left == summed.end() - 1;
  }

  const OptimizerPlan::Target* target_of(const std::shared_ptr<Variable>& variable) const {
    if (plan_.optimizer_)
      for (const OptimizerPlan::Target& target : plan_.optimizer_->targets)
        if (target.variable == variable) return &target;
    return nullptr;
  }
  // Whether updates wait for a factor that is made of finished gradients.
  bool needs_factors() const {
    const auto& optimizer = plan_.optimizer_;
    return optimizer && (optimizer->clip_norm > 0 || optimizer->global_clip_norm > 0 ||
                         optimizer->loss_scale != nullptr);
  }

  // A weight's gradient needs all rows of x and dy, but any part of it alone.
  void cut_weights(Stage& stage, int id) const {
    by_panels(stage, panels(id));
    if (!uneven(panels(id))) return;
    stage.split = Split::kTiles;
    stage.cut_rows = extent(id);
  }

  // Weight and bias gradients that only an update reads are computed inside the update.
  void mark_fused_gradients() {
    fused_.assign(program_.nodes.size(), 0);
    if (needs_factors()) return;
    for (const ProgramNode& node : program_.nodes) {
      if (node.kind != NodeKind::kUpdate || uses_[node.in[0]] != 1 || !made_by_node(node.in[0]))
        continue;
      const int maker = program_.values[node.in[0]].node;
      const ProgramNode& gradient = program_.nodes[maker];
      const bool product = std::string_view(gradient.op->name) == "matmul" &&
                           plain_matrix(gradient.in[0]) && plain_matrix(gradient.in[1]) &&
                           gradient.attrs.get_bool("transpose_a", false) &&
                           !gradient.attrs.get_bool("transpose_b", false) && !one_row(node.in[0]) &&
                           node.variable->layout() == Layout::kPanels;
      if (product || (is_column_sum(gradient) && one_row(node.in[0]))) fused_[maker] = 1;
    }
  }

  template <class T>
  StepRef<T> step_ref(const OptimizerPlan::Target& target, Stage& stage) {
    StepRef<T> step;
    const StepMaker maker(plan_.optimizer_->kind, plan_.optimizer_->hyper);
    step.step = step_of<T>(maker.kernel());
    step.slot_count = maker.kernel().slot_count;
    step.decay = target.decay;
    if (static_cast<int>(target.slots.size()) != step.slot_count)
      throw ValueError(cat("plan: optimizer ", plan_.optimizer_->kind, " needs ", step.slot_count,
                           " slots for '", target.variable->name(), "', got ",
                           target.slots.size()));
    for (int i = 0; i < step.slot_count; ++i) {
      if (target.slots[i]->layout() != target.variable->layout() ||
          !(target.slots[i]->type() == target.variable->type()))
        throw ValueError(cat("plan: slot ", i, " of '", target.variable->name(),
                             "' has another type or layout"));
      step.slots[i].buffer = variable_buffer(target.slots[i]);
      touch(stage, step.slots[i].buffer, true, true);
      plan_.written_.push_back(target.slots[i]);
    }
    if (const auto found = scales_.find(target.variable.get()); found != scales_.end()) {
      step.scale.buffer = found->second;
      step.may_skip = plan_.optimizer_->loss_scale != nullptr;
      touch(stage, found->second, false, false);
    }
    return step;
  }

  struct Shape {  // how an update or a norm cuts a variable
    std::int64_t unit = kPanel, tail_cols = 0, elements = 0, units = 1;
  };
  static Shape shape_of(const Variable& variable) {
    Shape s;
    const Dims& dims = variable.type().shape;
    if (variable.layout() == Layout::kPanels) {
      s.unit = dims[0] * kPanel;
      s.units = panel_count(dims[1]);
      s.tail_cols = dims[1] % kPanel;
    } else {
      s.elements = element_count(dims);
      s.units = panel_count(s.elements);
    }
    return s;
  }

  void update(const ProgramNode& node) {
    const OptimizerPlan::Target* target = target_of(node.variable);
    if (target == nullptr)
      throw ValueError(cat("plan: no optimizer for '", node.variable->name(), "'"));
    plan_.written_.push_back(node.variable);
    if (node.variable->type().dtype == DType::kFloat64)
      update<double>(node, *target);
    else
      update<float>(node, *target);
  }

  template <class T>
  void update(const ProgramNode& node, const OptimizerPlan::Target& target) {
    const int gradient = node.in[0];
    const int maker = program_.values[gradient].node;
    const int w = variable_buffer(node.variable);
    const std::string label = cat(" of ", node.variable->name());
    if (maker >= 0 && fused_[maker] && matrix(gradient) && !one_row(gradient)) {
      const int x = program_.nodes[maker].in[0], dy = program_.nodes[maker].in[1];
      auto stage = std::make_unique<DwUpdateStage<T>>();
      stage->x = source<T>(x);
      stage->dy = source<T>(dy);
      stage->w = {w, capacity_rows(gradient) * kPanel, extent(gradient), {}};
      stage->in = cols(x);
      stage->out = cols(dy);
      cut_weights(*stage, gradient);
      stage->step = step_ref<T>(target, *stage);
      touch(*stage, stage->x.buffer, false, false);
      touch(*stage, stage->dy.buffer, false, stage->split == Split::kPanels);
      touch(*stage, w, true, true);
      add(std::move(stage), cat("dw and update", label, " (", cols(x), "x", cols(dy), ')'));
      return;
    }
    if (maker >= 0 && fused_[maker] && is_column_sum(program_.nodes[maker])) {
      const int dy = program_.nodes[maker].in[0];
      auto stage = std::make_unique<DbUpdateStage<T>>();
      stage->dy = source<T>(dy);
      stage->b = {w, kPanel, {1}, {}};
      stage->out = cols(dy);
      by_panels(*stage, panels(dy));
      stage->step = step_ref<T>(target, *stage);
      touch(*stage, stage->dy.buffer, false, true);
      touch(*stage, w, true, true);
      add(std::move(stage), cat("db and update", label));
      return;
    }
    auto stage = std::make_unique<UpdateStage<T>>();
    const Shape shape = shape_of(*node.variable);
    stage->unit = shape.unit;
    stage->tail_cols = shape.tail_cols;
    stage->elements = shape.elements;
    stage->w.buffer = w;
    stage->g.buffer = need(gradient, variable_format(node.variable));
    by_panels(*stage, shape.units);
    stage->step = step_ref<T>(target, *stage);
    touch(*stage, stage->g.buffer, true, true);  // its padding is cleared
    touch(*stage, w, true, true);
    add(std::move(stage), cat("update", label));
  }

  // Sums of squares of all gradients and the factors made of them.
  void norms() {
    if (!needs_factors()) return;
    const OptimizerPlan& optimizer = *plan_.optimizer_;
    const bool each = optimizer.clip_norm > 0;
    const int loss_scale = optimizer.loss_scale ? variable_buffer(optimizer.loss_scale) : -1;
    auto last = std::make_unique<LossScaleStage>();
    std::unique_ptr<NormScaleStage> scale;
    for (const ProgramNode& node : program_.nodes) {
      if (node.kind != NodeKind::kUpdate) continue;
      const Shape shape = shape_of(*node.variable);
      const int sums =
          new_buffer(static_cast<std::size_t>(shape.units) * sizeof(double), "squares");
      node.variable->type().dtype == DType::kFloat64 ? squares<double>(node, shape, sums)
                                                     : squares<float>(node, shape, sums);
      if (!scale) {
        scale = std::make_unique<NormScaleStage>();
        scale->limit = each                             ? optimizer.clip_norm
                       : optimizer.global_clip_norm > 0 ? optimizer.global_clip_norm
                                                        : std::numeric_limits<double>::infinity();
        scale->unscale = 1 / optimizer.loss_scale_factor;
        scale->scale.buffer = new_buffer(sizeof(double), "clip factor");
        touch(*scale, scale->scale.buffer, true, false);
        last->factors.push_back({scale->scale.buffer, nullptr});
        if (loss_scale >= 0) {
          scale->loss_scale.buffer = loss_scale;
          touch(*scale, loss_scale, false, false);
        }
      }
      scale->parts.push_back({{sums, nullptr}, shape.units});
      touch(*scale, sums, false, false);
      last->parts.push_back({{sums, nullptr}, shape.units});
      touch(*last, sums, false, false);
      scales_[node.variable.get()] = scale->scale.buffer;
      if (each) add(std::exchange(scale, nullptr), cat("clip factor of ", node.variable->name()));
    }
    if (scale) add(std::move(scale), "global clip factor");
    if (loss_scale >= 0) follow_loss_scale(std::move(last), loss_scale);
  }
  void follow_loss_scale(std::unique_ptr<LossScaleStage> stage, int loss_scale) {
    const OptimizerPlan& optimizer = *plan_.optimizer_;
    stage->scale.buffer = loss_scale;
    stage->good_steps.buffer = variable_buffer(optimizer.good_steps);
    stage->growth_steps = optimizer.growth_steps;
    touch(*stage, loss_scale, true, true);
    touch(*stage, stage->good_steps.buffer, true, true);
    for (const Ref<double>& factor : stage->factors) touch(*stage, factor.buffer, true, true);
    plan_.written_.push_back(optimizer.loss_scale);
    plan_.written_.push_back(optimizer.good_steps);
    add(std::move(stage), "loss scale");
  }
  template <class T>
  void squares(const ProgramNode& node, const Shape& shape, int sums) {
    auto stage = std::make_unique<SquaresStage<T>>();
    stage->g.buffer = need(node.in[0], variable_format(node.variable));
    stage->sums.buffer = sums;
    stage->unit = shape.unit;
    stage->tail_cols = shape.tail_cols;
    stage->elements = shape.elements;
    by_panels(*stage, shape.units);
    touch(*stage, stage->g.buffer, true, true);
    touch(*stage, sums, true, true);
    add(std::move(stage), cat("squares of the gradient of ", node.variable->name()));
  }

  void assign(const ProgramNode& node) {
    const int value = node.in[0];
    const int to = variable_buffer(node.variable);
    const int from = need(value, variable_format(node.variable));
    plan_.written_.push_back(node.variable);
    if (from == to) return;
    auto stage = std::make_unique<AssignStage>();
    stage->from.buffer = from;
    stage->to.buffer = to;
    const auto size = static_cast<std::int64_t>(item_size(node.variable->type().dtype));
    const Shape shape = shape_of(*node.variable);
    stage->unit_bytes = shape.unit * size;
    stage->bytes = (shape.elements > 0 ? shape.elements : node.variable->padded_size()) * size;
    if (node.variable->type().shape.rank() > 0) by_panels(*stage, shape.units);
    touch(*stage, from, false, true);
    touch(*stage, to, true, true);
    add(std::move(stage), cat("assign ", node.variable->name()));
  }

  std::vector<char> fused_;  // per node: computed inside the update that reads it
  std::unordered_map<const Variable*, int> scales_;
};

}  // namespace densa
