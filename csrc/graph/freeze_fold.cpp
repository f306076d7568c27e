// Affine nodes move into the dense nodes around them.
#include <algorithm>
#include <cmath>

#include "graph/freeze_parts.h"

namespace densa::freezing {
namespace {

// The affine of the last axis, where all other axes of a row have the same numbers.
std::optional<Affine> of_columns(const Affine& a, std::int64_t columns) {
  const auto n = static_cast<std::size_t>(columns);
  for (const Numbers* numbers : {&a.c, &a.s, &a.t})
    for (std::size_t i = n; i < numbers->size(); ++i)
      if ((*numbers)[i] != (*numbers)[i - n]) return std::nullopt;
  if (a.s.size() < n) return std::nullopt;
  Affine out = a;
  for (Numbers* numbers : {&out.c, &out.s, &out.t, &out.unit}) numbers->resize(n);
  return out;
}

void copy_element(Affine& to, std::size_t k, const Affine& from, std::size_t i) {
  to.c[k] = from.c[i], to.s[k] = from.s[i], to.t[k] = from.t[i], to.unit[k] = from.unit[i];
}

class Folding {
 public:
  Folding(Program& program, Affines& affines, const Keep& keep, FreezeReport* report)
      : program_(program), affines_(affines), keep_(keep), report_(report), readers_(program) {}

  void run() {
    for (std::size_t n = 0; n < program_.nodes.size();) {
      if (!is_affine(program_.nodes[n]) || !step(program_.nodes[n])) {
        ++n;
        continue;
      }
      program_.remove_unused();
      readers_ = Readers(program_);
      n = 0;
    }
    for (const ProgramNode& node : program_.nodes) {
      if (is_affine(node))
        report_->kept.push_back(
            cat(of(node).name, ": ", reason(node), "; kept as ", left_as(of(node))));
      if (is(node, "batch_norm"))
        report_->kept.push_back(
            cat(program_.values[node.in[3]].name,
                ": its numbers are not finite, not constant, or not of columns"));
    }
  }

 private:
  struct Part {
    int node;
    Affine columns;
  };

  static bool is_affine(const ProgramNode& node) { return node.op == &affine_op(); }
  Affine& of(const ProgramNode& node) {
    return affines_[static_cast<std::size_t>(node.attrs.get_int("id", 0))];
  }
  std::string names(const std::vector<Part>& parts) const {
    std::string text;
    for (const Part& part : parts)
      text += (text.empty() ? "" : ", ") + dense_name(program_, program_.nodes[part.node]);
    return text;
  }

  bool stays(const ProgramNode& node) { return keep_.count(of(node).name) > 0; }

  // Whether anything changed.
  bool step(const ProgramNode& node) {
    if (of(node).is_identity()) {
      replace_uses(program_, node.out[0], node.in[0]);
      return true;
    }
    return !stays(node) && (join(node) || into_before(node) || into_after(node));
  }

  // One affine right behind another that nobody else reads.
  bool join(const ProgramNode& node) {
    const int maker = program_.values[node.in[0]].node;
    if (maker < 0 || !is_affine(program_.nodes[maker]) || readers_.uses[node.in[0]] != 1 ||
        stays(program_.nodes[maker]))
      return false;
    const Affine& first = of(program_.nodes[maker]);
    Affine& a = of(node);
    for (std::size_t i = 0; i < a.s.size(); ++i) {
      // ((x - c1) s1 + t1 - c2) s2 + t2, with what is subtracted kept together.
      const double shift = a.c[i] - first.t[i];
      if (first.s[i] != 0) {
        a.c[i] = first.c[i] + shift / first.s[i];
      } else {
        a.c[i] = 0, a.t[i] -= shift * a.s[i];
      }
      a.s[i] *= first.s[i];
    }
    a.name = cat(first.name, ", ", a.name);
    program_.nodes[index_of(node)].in[0] = program_.nodes[maker].in[0];
    return true;
  }

  int index_of(const ProgramNode& node) const {
    return static_cast<int>(&node - program_.nodes.data());
  }

  // ---- into the dense before ---------------------------------------------------------------

  bool into_before(const ProgramNode& node) {
    std::vector<Part> parts;
    if (!find_before(node.in[0], of(node), &parts)) return false;
    report_->folded.push_back(cat(of(node).name, " into ", names(parts)));
    for (const auto& [index, a] : parts) {
      ConstantDense dense(program_, program_.nodes[index]);
      const auto out = static_cast<std::size_t>(dense.out);
      for (std::size_t i = 0; i < dense.w.size(); ++i) dense.w[i] *= a.s[i % out];
      for (std::size_t j = 0; j < out; ++j) dense.b[j] = (dense.b[j] - a.c[j]) * a.s[j] + a.t[j];
      dense.store(program_, program_.nodes[index]);
    }
    replace_uses(program_, node.out[0], node.in[0]);
    return true;
  }

  // The dense nodes that make `value`, which one place alone reads, with their shares of `a`.
  bool find_before(int value, const Affine& a, std::vector<Part>* parts) const {
    const int maker = program_.values[value].node;
    if (maker < 0 || readers_.uses[value] != 1) return false;
    const ProgramNode& node = program_.nodes[maker];
    if (is_constant_dense(program_, node)) {
      auto columns = of_columns(a, program_.values[value].type.shape.back());
      if (!columns) return false;
      parts->push_back({maker, std::move(*columns)});
      return true;
    }
    const auto from = moved_elements(program_, node);
    if (!from) return false;
    std::size_t first = 0;
    for (int id : node.in) {
      const auto size = static_cast<std::size_t>(row_size(program_.values[id].type.shape));
      Affine share = Affine::identity(static_cast<std::int64_t>(size));
      for (std::size_t k = 0; k < from->size(); ++k) {
        const auto place = static_cast<std::size_t>((*from)[k]);
        if (place >= first && place < first + size) copy_element(share, place - first, a, k);
      }
      first += size;
      if (!find_before(id, share, parts)) return false;
    }
    return true;
  }

  // ---- into the dense nodes after ----------------------------------------------------------

  bool into_after(const ProgramNode& node) {
    std::vector<Part> parts;
    Affine& a = of(node);
    if (!find_after(node.out[0], a, &parts)) return false;
    const bool keeps_shift = shift_stays(parts);
    if (keeps_shift && a.is_shift()) return false;
    report_->folded.push_back(
        cat(a.name, " into ", names(parts), keeps_shift ? " (its shift stays)" : ""));
    for (const auto& [index, columns] : parts) {
      ConstantDense dense(program_, program_.nodes[index]);
      const auto out = static_cast<std::size_t>(dense.out);
      for (std::size_t i = 0; i < columns.s.size(); ++i) {
        const double t = keeps_shift ? columns.t[i] : columns.t[i] - columns.c[i] * columns.s[i];
        for (std::size_t j = 0; j < out; ++j) {
          double& w = dense.w[i * out + j];
          dense.b[j] += t * w;
          w *= columns.s[i];
        }
      }
      dense.store(program_, program_.nodes[index]);
    }
    if (keeps_shift) {
      Affine shift = Affine::identity(static_cast<std::int64_t>(a.c.size()));
      shift.c = a.c, shift.name = a.name;
      for (std::size_t i = 0; i < a.s.size(); ++i)
        shift.unit[i] = a.s[i] == 0 ? 0 : a.unit[i] / std::abs(a.s[i]);
      a = std::move(shift);
    } else {
      replace_uses(program_, node.out[0], node.in[0]);
    }
    return true;
  }

  bool shift_stays(const std::vector<Part>& parts) const {
    return std::any_of(parts.begin(), parts.end(), [&](const Part& part) {
      const ConstantDense dense(program_, program_.nodes[part.node]);
      const auto out = static_cast<std::size_t>(dense.out);
      Numbers squares(static_cast<std::size_t>(dense.in), 0.0);
      for (std::size_t i = 0; i < dense.w.size(); ++i) squares[i / out] += dense.w[i] * dense.w[i];
      return loses_digits(part.columns, squares);
    });
  }

  // All readers of `value`, which must be dense nodes, maybe behind ops that move elements.
  bool find_after(int value, const Affine& a, std::vector<Part>* parts) const {
    if (readers_.output[value]) return false;
    for (int reader : readers_.nodes[value]) {
      const ProgramNode& node = program_.nodes[reader];
      if (is_constant_dense(program_, node)) {
        auto columns = of_columns(a, program_.values[value].type.shape.back());
        if (!columns) return false;
        parts->push_back({reader, std::move(*columns)});
        continue;
      }
      const auto from = moved_elements(program_, node);
      if (!from) return false;
      Affine moved = Affine::identity(static_cast<std::int64_t>(from->size()));
      std::size_t first = 0;
      for (int id : node.in) {
        const auto size = static_cast<std::size_t>(row_size(program_.values[id].type.shape));
        if (id == value)
          for (std::size_t k = 0; k < from->size(); ++k) {
            const auto place = static_cast<std::size_t>((*from)[k]);
            if (place >= first && place < first + size) copy_element(moved, k, a, place - first);
          }
        first += size;
      }
      if (!find_after(node.out[0], moved, parts)) return false;
    }
    return true;
  }

  std::string reason(const ProgramNode& node) {
    if (stays(node)) return keep_.at(of(node).name);
    std::vector<Part> parts;
    if (find_after(node.out[0], of(node), &parts))
      return cat("its shift is large, in ", names(parts), " it would cost digits");
    if (readers_.output[node.out[0]]) return "an output";
    for (int reader : readers_.nodes[node.out[0]]) {
      const ProgramNode& other = program_.nodes[reader];
      if (!is_constant_dense(program_, other)) return cat("read by ", other.op->name);
    }
    return "differs along other axes than the last";
  }

  Program& program_;
  Affines& affines_;
  const Keep& keep_;
  FreezeReport* report_;
  Readers readers_;
};

}  // namespace

void fold_affines(Program& program, Affines& affines, const Keep& keep, FreezeReport* report) {
  Folding(program, affines, keep, report).run();
}

}  // namespace densa::freezing
