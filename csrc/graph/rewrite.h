// Rewriting a Program: walk its nodes in order, keep, change or replace each, then swap.
#pragma once
#include <functional>
#include <utility>
#include <vector>

#include "graph/program.h"

namespace densa {

// Copies nodes of the program one by one into a fresh list. A pass looks at a node whose inputs are
// already rewritten and either keeps it or emits others, which have its place, and says which
// values replace its outputs.
class Rewriter {
 public:
  explicit Rewriter(Program& program) : program_(program), old_(std::exchange(program.nodes, {})) {
    replaced_.resize(program_.values.size());
    for (std::size_t i = 0; i < replaced_.size(); ++i) replaced_[i] = static_cast<int>(i);
  }

  // visit(node) returns true when it took care of the node (see replace), false to keep it as is.
  void run(const std::function<bool(const ProgramNode&)>& visit) {
    for (ProgramNode& node : old_) {
      for (int& id : node.in) id = replaced_[id];
      program_.place = node.place;
      if (!visit(node)) keep(node);
    }
    for (auto& [name, id] : program_.outputs) id = replaced_[id];
    program_.remove_unused();
  }

  void replace(int old_value, int new_value) { replaced_[old_value] = new_value; }

 private:
  void keep(ProgramNode& node) {
    for (int id : node.out) program_.values[id].node = static_cast<int>(program_.nodes.size());
    program_.nodes.push_back(std::move(node));
  }

  Program& program_;
  std::vector<ProgramNode> old_;
  std::vector<int> replaced_;  // of the values that the old nodes name
};

}  // namespace densa
