// From nodes to stages. What has a panel kernel works on panels; everything else runs row-major, by
// rows where it takes each by itself.
#include "graph/lower.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "graph/internal_ops.h"
#include "graph/lower_updates.h"
#include "graph/stages_elementwise.h"
#include "graph/stages_norm.h"
#include "graph/stages_rows.h"
#include "predict/by_rows.h"

namespace densa {

void OptimizerNumbers::make(StepMaker& maker, std::int64_t step, double rate, double unscale) {
  for (int decay = 0; decay < 2; ++decay) {
    f32[decay] = maker.numbers<float>(step, rate, unscale, decay != 0);
    f64[decay] = maker.numbers<double>(step, rate, unscale, decay != 0);
  }
}
template <>
const StepNumbers<float>& OptimizerNumbers::get<float>(bool decay) const {
  return f32[decay ? 1 : 0];
}
template <>
const StepNumbers<double>& OptimizerNumbers::get<double>(bool decay) const {
  return f64[decay ? 1 : 0];
}

class Lowering final : private UpdateLowering {
 public:
  explicit Lowering(Plan& plan) : UpdateLowering(plan) {}

  void run(const std::vector<std::string>& collect) {
    mark_fused_gradients();
    for (std::size_t i = 0; i < program_.nodes.size(); ++i)
      if (program_.nodes[i].kind == NodeKind::kOp && !fused_[i]) op(program_.nodes[i]);
    int result = 0;
    for (const std::string& name : collect) emit(name, result++);
    // Variables change at the end: every stage above reads them as they were at the start.
    norms();
    for (const ProgramNode& node : program_.nodes) {
      if (node.kind == NodeKind::kUpdate) update(node);
      if (node.kind == NodeKind::kAssign) assign(node);
    }
  }

 private:
  void op(const ProgramNode& node) {
    if (std::string_view(node.op->name) == "row_count" && dynamic(node.in[0]))
      return row_count(node);
    if (node.op->alias && alias(node)) return;
    const bool f64 = type(node.out[0]).dtype == DType::kFloat64;
    if (f64 ? panel_op<double>(node) : panel_op<float>(node)) return;
    fallback(node);
  }

  void row_count(const ProgramNode& node) {
    auto stage = std::make_unique<RowCountStage>();
    stage->y.buffer = make(node.out[0], kFlat);
    stage->count = {type(node.in[0]).shape[0]};
    stage->dtype = type(node.out[0]).dtype;
    touch(*stage, stage->y.buffer, true, false);
    add(std::move(stage), cat("row count -> %", node.out[0]));
  }

  bool alias(const ProgramNode& node) {
    const int x = node.in[0], y = node.out[0];
    if (matrix(x) && matrix(y) && cols(x) == cols(y)) {  // the same matrix in every format
      if (places_[x].nowhere()) need(x, first_format(x));
      places_[y] = places_[x];
      whole_[y] = whole_[x];
    } else {
      places_[y].buffer[kFlat] = need(x, kFlat);
    }
    if (one_row(y)) places_[y].buffer[kPanelled] = places_[y].buffer[kFlat] = need(x, kFlat);
    ++uses_[x];  // the memory now has a second name: nobody may take it over
    ++uses_[y];
    return true;
  }

  // True if the op has a stage on panels for these operands.
  template <class T>
  bool panel_op(const ProgramNode& node) {
    const std::string_view name = node.op->name;
    if (node.op == &feed_op()) return feed<T>(node);
    if (node.op == &loss_pair_op()) return loss_pair<T>(node);
    if (!is_floating(type(node.out[0]).dtype)) return false;
    if (name == "dense") return dense<T>(node, node.in.size() > 2 ? node.in[2] : -1);
    if (name == "matmul") return matmul<T>(node);
    if (name == "unary_slope") return slope<T>(node);
    if (name == "sum" || name == "sum_to") return column_sum<T>(node);
    if (name == "batch_norm") return batch_norm<T>(node);
    if (name == "dropout") return dropout<T>(node);
    if (name == "batch_norm_grad") return batch_norm_grad<T>(node);
    if (node.op == &unary_pair_op())
      return unary<T>(node, find_unary(node.attrs.get_string("fn", "").c_str()));
    if (node.in.size() == 1)
      if (const UnaryKernel* kernel = find_unary(node.op->name)) return unary<T>(node, kernel);
    if (node.in.size() == 2)
      if (const BinaryKernel* kernel = find_binary(node.op->name)) return binary<T>(node, kernel);
    return false;
  }

  template <class T>
  bool feed(const ProgramNode& node) {
    const int in = node.in[0], out = node.out[0];
    auto stage = std::make_unique<FeedStage>();
    const auto at = std::find(program_.inputs.begin(), program_.inputs.end(), in);
    stage->input = static_cast<int>(at - program_.inputs.begin());
    stage->input_count = static_cast<int>(program_.inputs.size());
    if (!by_batch(in))
      throw ValueError(cat("plan: input '", program_.values[in].name, "' has no batch axis"));
    stage->to = type(out).dtype;
    stage->convert = is_floating(type(out).dtype);
    stage->split = Split::kRows;
    const bool panelled = plain_matrix(out) && panels_wanted(out);
    stage->feed.cols = trailing(out);
    stage->feed.panels = panelled;
    stage->feed.stride = panelled ? capacity_rows(out) * kPanel : trailing(out);
    stage->feed.scale = node.attrs.get_double("scale", 1);
    stage->feed.offset = node.attrs.get_double("offset", 0);
    stage->feed.affine = stage->feed.scale != 1 || stage->feed.offset != 0;
    stage->row_bytes = trailing(out) * static_cast<std::int64_t>(item(out));
    stage->y.buffer = make(out, panelled ? kPanelled : kFlat);
    if (panelled && gathered_by_each(out)) {
      stage->split = Split::kEach;
      plan_.buffers_[stage->y.buffer].local = true;
    }
    stage->nonfinite = plan_.nonfinite_;
    touch(*stage, stage->y.buffer, true, true);
    add(std::move(stage), cat("feed ", program_.values[in].name));
    return true;
  }
  // Input that only products read: every thread gathers all of it. That is cheaper than to take
  // back, line by line, memory that the other threads have read.
  bool gathered_by_each(int id) const {
    constexpr int kFew = 4;
    if (threads_ > kFew) return false;
    for (const ProgramNode& node : program_.nodes)
      for (std::size_t i = 0; i < node.in.size(); ++i)
        if (node.in[i] == id && (node.kind != NodeKind::kOp || i != 0 || !is_product(node)))
          return false;
    return std::none_of(program_.outputs.begin(), program_.outputs.end(),
                        [&](const auto& output) { return output.second == id; });
  }
  // x·w or xᵀ·dy, as a stage that reads x from panels.
  bool is_product(const ProgramNode& node) const {
    const std::string_view name = node.op->name;
    if (name != "dense" && name != "matmul") return false;
    return matrix(node.in[0]) && plain_matrix(node.in[1]) &&
           !node.attrs.get_bool("transpose_b", false) &&
           (node.attrs.get_bool("transpose_a", false) || !dynamic(node.in[1]));
  }
  bool panels_wanted(int id) const {
    for (const ProgramNode& node : program_.nodes) {
      if (node.kind != NodeKind::kOp ||
          std::find(node.in.begin(), node.in.end(), id) == node.in.end())
        continue;
      const std::string_view name = node.op->name;
      if (name == "dense" || name == "matmul" || name == "batch_norm" ||
          name == "batch_norm_grad" || name == "dropout" || node.op == &loss_pair_op() ||
          node.op == &unary_pair_op() || find_unary(node.op->name) != nullptr ||
          find_binary(node.op->name) != nullptr)
        return true;
    }
    return false;
  }

  template <class T>
  bool dense(const ProgramNode& node, int bias) {
    const int x = node.in[0], w = node.in[1], y = node.out[0];
    if (!matrix(x) || !plain_matrix(w) || dynamic(w)) return false;
    auto stage = std::make_unique<DenseStage<T>>();
    stage->x = source<T>(x);
    stage->w = source<T>(w);
    if (bias >= 0) stage->b.buffer = need(bias, kFlat);
    stage->y = target<T>(y);
    stage->in = cols(x);
    stage->panels = panels(y);
    cut(*stage, y, {});
    touch(*stage, stage->x.buffer, false, stage->split == Split::kRows);
    touch(*stage, stage->w.buffer, false, stage->split == Split::kPanels);
    touch(*stage, stage->b.buffer, false, stage->split == Split::kPanels);
    touch(*stage, stage->y.buffer, true, true);
    add(std::move(stage), cat("dense %", x, " (", cols(x), "x", cols(y), ") -> %", y));
    return true;
  }

  template <class T>
  bool matmul(const ProgramNode& node) {
    const int a = node.in[0], b = node.in[1], y = node.out[0];
    if (!matrix(a) || !plain_matrix(b)) return false;
    const bool ta = node.attrs.get_bool("transpose_a", false);
    const bool tb = node.attrs.get_bool("transpose_b", false);
    if (!ta && !tb) return dense<T>(node, -1);
    if (ta && tb) return false;
    if (tb) {  // dx = dy · wᵀ
      if (dynamic(b)) return false;
      auto stage = std::make_unique<DxStage<T>>();
      need(a, kPanelled);
      stage->dyT = {need(a, kTransposed), cols(a) * kPanel, extent(a), {}};
      stage->w = source<T>(b);
      stage->dx = target<T>(y);
      stage->in = cols(y);
      stage->out = cols(a);
      cut(*stage, y, {});
      touch(*stage, stage->dyT.buffer, false, false);
      touch(*stage, stage->w.buffer, false, false);
      touch(*stage, stage->dx.buffer, true, true);
      add(std::move(stage), cat("dx %", a, " (", cols(a), "x", cols(y), ") -> %", y));
      return true;
    }
    if (!plain_matrix(a)) return false;
    auto stage = std::make_unique<DwStage<T>>();
    stage->x = source<T>(a);
    stage->dy = source<T>(b);
    stage->dw = target<T>(y);
    stage->in = cols(a);
    stage->out = cols(b);
    cut_weights(*stage, y);
    touch(*stage, stage->x.buffer, false, false);
    touch(*stage, stage->dy.buffer, false, stage->split == Split::kPanels);
    touch(*stage, stage->dw.buffer, true, true);
    add(std::move(stage), cat("dw %", a, " %", b, " (", cols(a), "x", cols(b), ") -> %", y));
    return true;
  }

  double parameter(const UnaryKernel* kernel, const Attrs& attrs) const {
    return kernel->attribute == nullptr ? 0 : attrs.get_double(kernel->attribute, kernel->missing);
  }

  // What elementwise stages work on; single numbers stay with thread 0, which needs no barrier.
  bool panel_shape(int id) const {
    return (matrix(id) || (vector(id) && !dynamic(id))) && !number(id);
  }

  // Whether an elementwise op goes on panels. With more than two axes only behind an operand that
  // lies there: row-major neighbours would need it there and back.
  bool on_panels(int y, std::initializer_list<int> operands) const {
    if (!panel_shape(y)) return false;
    return type(y).shape.rank() < 3 || std::any_of(operands.begin(), operands.end(), [&](int id) {
             return type(id) == type(y) && find(id, kPanelled) >= 0;
           });
  }

  template <class T>
  bool unary(const ProgramNode& node, const UnaryKernel* kernel) {
    const int z = node.in[0], y = node.out[0];
    if (node.out.size() == 1 && !on_panels(y, {z})) return false;
    auto stage = std::make_unique<UnaryStage<T>>();
    stage->kernel = kernel;
    stage->param = parameter(kernel, node.attrs);
    stage->z = source<T>(z);
    if (node.out.size() > 1) {
      stage->slope = target<T>(node.out[1]);
      touch(*stage, stage->slope.buffer, true, true);
    }
    stage->y = target_over<T>(y, {z});
    stage->panels = panels(y);
    cut(*stage, y, {z});
    if (node.out.size() > 1) whole_[node.out[1]] = whole_[y];
    touch(*stage, stage->z.buffer, false, true);
    touch(*stage, stage->y.buffer, true, true);
    add(std::move(stage),
        cat(kernel->name, node.out.size() > 1 ? " and slope %" : " %", z, " -> %", y));
    return true;
  }

  template <class T>
  bool slope(const ProgramNode& node) {
    const int saved = node.in[0], dy = node.in[1], dx = node.out[0];
    const UnaryKernel* kernel = find_unary(node.attrs.get_string("fn", "").c_str());
    if (kernel == nullptr || !on_panels(dx, {saved, dy})) return false;
    auto stage = std::make_unique<SlopeStage<T>>();
    stage->kernel = kernel;
    stage->param = parameter(kernel, node.attrs);
    stage->saved = source<T>(saved);
    stage->dy = source<T>(dy);
    stage->dx = target_over<T>(dx, {dy});
    stage->panels = panels(dx);
    cut(*stage, dx, {dy, saved});
    touch(*stage, stage->saved.buffer, false, true);
    touch(*stage, stage->dy.buffer, false, true);
    touch(*stage, stage->dx.buffer, true, true);
    add(std::move(stage), cat("slope of ", kernel->name, " %", dy, " -> %", dx));
    return true;
  }

  // How `id` is read beside a result of type `y`; false if only row-major broadcasting can.
  bool operand_step(int id, int y, Step* step) const {
    if (number(id) && !(type(id) == type(y))) {
      *step = Step::kScalar;
    } else if (type(id) == type(y)) {
      *step = Step::kEach;
    } else if (one_row(id) && matrix(y) && cols(id) == cols(y)) {
      *step = Step::kRow16;
    } else {
      return false;
    }
    return true;
  }

  template <class T>
  bool binary(const ProgramNode& node, const BinaryKernel* kernel) {
    const int y = node.out[0];
    if (!on_panels(y, {node.in[0], node.in[1]})) return false;
    std::array<Step, 2> steps{};
    for (int k = 0; k < 2; ++k)
      if (!operand_step(node.in[k], y, &steps[k])) return false;
    auto stage = std::make_unique<BinaryStage<T>>();
    stage->kernel = kernel;
    stage->panels = panels(y);
    cut(*stage, y, {node.in[0], node.in[1]});
    for (int k = 0; k < 2; ++k) {
      Operand<T>& operand = k == 0 ? stage->a : stage->b;
      operand.step = steps[k];
      if (steps[k] == Step::kScalar)
        operand.m.buffer = need(node.in[k], kFlat);
      else
        operand.m = source<T>(node.in[k]);
      const bool own =
          steps[k] == Step::kEach || (steps[k] == Step::kRow16 && stage->split == Split::kPanels);
      touch(*stage, operand.m.buffer, false, own);
    }
    stage->y = target_over<T>(
        y, {steps[0] == Step::kEach ? node.in[0] : -1, steps[1] == Step::kEach ? node.in[1] : -1});
    touch(*stage, stage->y.buffer, true, true);
    add(std::move(stage), cat(kernel->name, " %", node.in[0], " %", node.in[1], " -> %", y));
    return true;
  }

  template <class T>
  bool dropout(const ProgramNode& node) {
    const int x = node.in[0], y = node.out[0];
    if (!matrix(x) || one_row(x) || !on_panels(y, {x})) return false;
    auto stage = std::make_unique<DropoutStage<T>>();
    stage->call.cols = cols(x);
    stage->call.rate = node.attrs.get_double("rate", 0);
    stage->call.seed = static_cast<std::uint64_t>(node.attrs.get_int("seed", 0));
    stage->call.stream = static_cast<std::uint64_t>(node.attrs.get_int("stream", 0));
    stage->draw = draw_of(node.attrs, "dropout");
    stage->x = source<T>(x);
    stage->y = target_over<T>(y, {x});
    cut(*stage, y, {x});
    touch(*stage, stage->x.buffer, false, true);
    touch(*stage, stage->y.buffer, true, true);
    add(std::move(stage), cat("dropout %", x, " -> %", y));
    return true;
  }

  template <class T>
  bool column_sum(const ProgramNode& node) {
    if (!is_column_sum(node)) return false;
    const int x = node.in[0], y = node.out[0];
    auto stage = std::make_unique<ColumnSumStage<T>>();
    stage->dy = source<T>(x);
    stage->db = target<T>(y);
    stage->out = cols(x);
    by_panels(*stage, panels(x));
    touch(*stage, stage->dy.buffer, false, true);
    touch(*stage, stage->db.buffer, true, true);
    add(std::move(stage), cat("column sums %", x, " -> %", y));
    return true;
  }

  bool last_axis(const ProgramNode& node) const {
    const Ints axes = node.attrs.get_ints("axis", {-1});
    return axes.size() == 1 && (axes[0] == -1 || axes[0] == type(node.in[0]).shape.rank() - 1);
  }
  template <class T>
  int parameter_buffer(Stage& stage, int id) {
    const int buffer = need(id, kFlat);
    touch(stage, buffer, false, true);
    return buffer;
  }

  template <class T>
  bool batch_norm(const ProgramNode& node) {
    const int x = node.in[0], y = node.out[0];
    if (!matrix(x) || one_row(x) || !last_axis(node)) return false;
    auto stage = std::make_unique<BatchNormStage<T>>();
    stage->training = node.attrs.get_bool("training", false);
    stage->epsilon = static_cast<T>(node.attrs.get_double("epsilon", 1e-3));
    stage->x = source<T>(x);
    stage->gamma.buffer = parameter_buffer<T>(*stage, node.in[1]);
    stage->beta.buffer = parameter_buffer<T>(*stage, node.in[2]);
    if (stage->training) {
      stage->mean.buffer = make(node.out[1], kFlat);
      stage->variance.buffer = make(node.out[2], kFlat);
      touch(*stage, stage->mean.buffer, true, true);
      touch(*stage, stage->variance.buffer, true, true);
    } else {
      stage->mean.buffer = parameter_buffer<T>(*stage, node.in[3]);
      stage->variance.buffer = parameter_buffer<T>(*stage, node.in[4]);
    }
    stage->y = target_over<T>(y, {x});
    in_panels(*stage, y);
    touch(*stage, stage->x.buffer, false, true);
    touch(*stage, stage->y.buffer, true, true);
    add(std::move(stage), cat("batch norm %", x, " -> %", y));
    return true;
  }

  template <class T>
  bool batch_norm_grad(const ProgramNode& node) {
    const int x = node.in[0], dy = node.in[4], dx = node.out[0];
    if (!matrix(x) || one_row(x) || !last_axis(node)) return false;
    auto stage = std::make_unique<BatchNormGradStage<T>>();
    stage->epsilon = static_cast<T>(node.attrs.get_double("epsilon", 1e-3));
    stage->x = source<T>(x);
    stage->dy = source<T>(dy);
    stage->gamma.buffer = parameter_buffer<T>(*stage, node.in[1]);
    stage->mean.buffer = parameter_buffer<T>(*stage, node.in[2]);
    stage->variance.buffer = parameter_buffer<T>(*stage, node.in[3]);
    stage->dgamma.buffer = make(node.out[1], kFlat);
    stage->dbeta.buffer = make(node.out[2], kFlat);
    stage->dx = target_over<T>(dx, {dy});
    in_panels(*stage, dx);
    touch(*stage, stage->x.buffer, false, true);
    touch(*stage, stage->dy.buffer, false, true);
    touch(*stage, stage->dgamma.buffer, true, true);
    touch(*stage, stage->dbeta.buffer, true, true);
    touch(*stage, stage->dx.buffer, true, true);
    add(std::move(stage), cat("batch norm gradient %", dy, " -> %", dx));
    return true;
  }

  template <class T>
  bool loss_pair(const ProgramNode& node) {
    const int z = node.in[0], target_id = node.in[1], dloss = node.in[2];
    if (!matrix(z) || !dynamic(z))
      throw ValueError("plan: a fused softmax loss needs logits of shape (rows, …, classes)");
    auto stage = std::make_unique<SoftmaxLossStage<T>>();
    by_rows(*stage, z);
    stage->classes = cols(z);
    stage->smoothing = static_cast<T>(node.attrs.get_double("label_smoothing", 0));
    stage->z = source<T>(z);
    touch(*stage, stage->z.buffer, false, true);
    if (is_floating(type(target_id).dtype)) {
      stage->t = source<T>(target_id);
      touch(*stage, stage->t.buffer, false, true);
    } else {
      stage->labels.buffer = need(target_id, kFlat);
      stage->label_type = type(target_id).dtype;
      touch(*stage, stage->labels.buffer, false, true);
    }
    const ProgramValue& dy = program_.values[dloss];
    const bool spread = dy.node >= 0 &&
                        std::string_view(program_.nodes[dy.node].op->name) == "broadcast_to" &&
                        number(program_.nodes[dy.node].in[0]);
    stage->dy.buffer = need(spread ? program_.nodes[dy.node].in[0] : dloss, kFlat);
    stage->dy_step = spread ? 0 : 1;
    touch(*stage, stage->dy.buffer, false, !spread);
    stage->loss.buffer = make(node.out[0], kFlat);
    stage->dz = target_over<T>(node.out[1], {z});
    touch(*stage, stage->loss.buffer, true, true);
    touch(*stage, stage->dz.buffer, true, true);
    add(std::move(stage), cat("softmax loss %", z, " -> %", node.out[0], ", %", node.out[1]));
    return true;
  }

  // Whether an op takes each row of the batch by itself, in an order that no other row changes.
  bool by_itself(const ProgramNode& node) const {
    static constexpr std::string_view kOfTraining[] = {"accuracy_sparse",
                                                       "affine_transform",
                                                       "affine_transform_grad",
                                                       "softmax_cross_entropy",
                                                       "softmax_cross_entropy_grad",
                                                       "sparse_softmax_cross_entropy",
                                                       "sparse_softmax_cross_entropy_grad",
                                                       "unary_slope"};
    const std::string_view name = node.op->name;
    const auto rows = [&](int id) { return by_batch(id); };
    if (node.in.size() + node.out.size() > OpStage::kMostOperands ||
        !std::all_of(node.out.begin(), node.out.end(), rows))
      return false;
    if (std::find(std::begin(kOfTraining), std::end(kOfTraining), name) != std::end(kOfTraining))
      return std::all_of(node.in.begin(), node.in.end(), rows);
    if (name == "broadcast_to" && !dynamic(node.in[0])) return true;
    if (name == "sum_to")
      return rows(node.in[0]) && type(node.in[0]).shape.rank() == type(node.out[0]).shape.rank();
    std::vector<TypeInfo> in, out;
    for (int id : node.in) in.push_back(type(id));
    for (int id : node.out) out.push_back(type(id));
    return std::any_of(node.in.begin(), node.in.end(), rows) &&
           std::none_of(node.in.begin(), node.in.end(),
                        [&](int id) { return dynamic(id) && !by_batch(id); }) &&
           not_by_rows(*node.op, node.attrs, in, out).empty();
  }

  void fallback(const ProgramNode& node) {
    if (node.op->eval == nullptr)
      throw ValueError(cat("plan: op ", node.op->name, " cannot run on these shapes"));
    auto stage = std::make_unique<OpStage>();
    stage->op = node.op;
    stage->attrs = node.attrs;
    stage->failure = plan_.failure_;
    if (by_itself(node)) stage->split = Split::kRows;  // of the batch
    const bool cut = stage->split == Split::kRows;
    const auto operand = [&](int id, int buffer, bool write) {
      const bool rows = cut && by_batch(id);
      touch(*stage, buffer, write, rows);
      const std::int64_t bytes = rows ? trailing(id) * static_cast<std::int64_t>(item(id)) : 0;
      return OpStage::Operand{type(id), {buffer, nullptr}, static_cast<std::size_t>(bytes)};
    };
    std::vector<TypeInfo> sized;
    for (int id : node.in) {
      stage->in.push_back(operand(id, need(id, kFlat), false));
      sized.push_back({type(id).dtype, with_rows(type(id).shape, plan_.capacity_)});
    }
    for (int id : node.out) stage->out.push_back(operand(id, make(id, kFlat), true));
    if (node.op->scratch_bytes != nullptr)
      stage->scratch = node.op->scratch_bytes(sized, node.attrs);
    std::string label = cat(node.op->name, " (row-major)");
    for (int id : node.in) label += cat(" %", id);
    add(std::move(stage), cat(label, " -> %", node.out[0]));
  }

  void emit(const std::string& name, int result) {
    for (const auto& [output, id] : program_.outputs) {
      if (output != name) continue;
      if (!dynamic(id)) throw ValueError(cat("plan: output '", name, "' has no batch axis"));
      if (!by_batch(id))
        throw NeedsRows(cat("plan: output '", name, "' ", to_string(type(id).shape),
                            " has several rows for each of the batch"));
      auto stage = std::make_unique<EmitRowsStage>();
      stage->x.buffer = need(id, kFlat);
      stage->result = result;
      stage->row_bytes = trailing(id) * static_cast<std::int64_t>(item(id));
      stage->split = Split::kRows;
      touch(*stage, stage->x.buffer, false, true);
      add(std::move(stage), cat("result ", name));
      return;
    }
    throw ValueError(cat("plan: no output named '", name, "'"));
  }
};

void lower(Plan& plan, const std::vector<std::string>& collect) { Lowering(plan).run(collect); }

}  // namespace densa
