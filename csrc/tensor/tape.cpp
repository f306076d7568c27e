#include "tensor/tape.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "tensor/builder.h"
#include "tensor/variable.h"

namespace densa {
namespace {

thread_local bool tape_on = true;
thread_local bool origins_kept = false;
std::atomic<std::uint64_t> next_order{0};

}  // namespace

bool grad_enabled() { return tape_on; }
void set_grad_enabled(bool enabled) { tape_on = enabled; }
bool keep_origins(bool keep) { return std::exchange(origins_kept, keep); }

// ---- entries --------------------------------------------------------------------------------

TapeEntry::TapeEntry(const Op& o, const Attrs& a, std::span<const Value> inputs)
    : op(&o),
      attrs(a),
      in(inputs.begin(), inputs.end()),
      order(next_order.fetch_add(1, std::memory_order_relaxed)) {
  in_versions.reserve(in.size());
  for (const Value& value : in)
    in_versions.push_back(static_cast<const TensorNode&>(*value).storage->version());
}

namespace {

// Inputs of dying entries wait here, so that the death of a chain is a loop.
thread_local std::vector<Value>* dying = nullptr;

}  // namespace

TapeEntry::~TapeEntry() {
  if (dying != nullptr) {
    for (Value& value : in) dying->push_back(std::move(value));
    return;
  }
  std::vector<Value> waiting;
  dying = &waiting;
  for (Value& value : in) waiting.push_back(std::move(value));
  while (!waiting.empty()) {
    const Value value = std::move(waiting.back());
    waiting.pop_back();
  }
  dying = nullptr;
}

namespace {

bool looked_behind(const Op& op, const Attrs& attrs) {
  const std::string_view name = op.name;
  return name == "sigmoid" || name == "softmax" || name == "cast" || name == "reshape" ||
         (name == "dense" && attrs.get_string("activation", "") == "sigmoid");
}

}  // namespace

void record(const Op& op, std::span<const Value> in, const Attrs& attrs,
            std::span<const Value> out) {
  if (op.grad == nullptr) return;
  const bool wanted = tape_on && std::any_of(in.begin(), in.end(), [](const Value& value) {
                        return static_cast<const TensorNode&>(*value).requires_grad;
                      });
  const bool origin = !wanted && origins_kept && looked_behind(op, attrs);
  if (!wanted && !origin) return;
  auto entry = std::make_shared<TapeEntry>(op, attrs, in);
  entry->out.reserve(out.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    auto& tensor = static_cast<TensorNode&>(*out[i]);
    entry->out.push_back({tensor.type, tensor.storage, tensor.offset_bytes, tensor.strides,
                          tensor.storage->version()});
    if (origin) {
      tensor.origin = entry;
      continue;
    }
    if (!is_floating(tensor.type.dtype)) continue;
    tensor.requires_grad = true;
    tensor.tape = entry;
    tensor.tape_output = static_cast<int>(i);
  }
}

// ---- backward -------------------------------------------------------------------------------

namespace {

// Who a gradient belongs to: an output of an entry, or a leaf.
struct Key {
  const void* owner;
  int output;
  friend bool operator==(const Key&, const Key&) = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    return std::hash<const void*>{}(key.owner) * 31 + static_cast<std::size_t>(key.output);
  }
};

Key key_of(const TensorNode& tensor) {
  if (tensor.tape != nullptr) return {tensor.tape.get(), tensor.tape_output};
  return {&tensor, 0};
}

// An input as the rule sees it. Written since: a stand-in that raises when the rule reads it.
Value saved_input(const TapeEntry& entry, std::size_t i) {
  const auto& tensor = static_cast<const TensorNode&>(*entry.in[i]);
  if (tensor.storage->version() == entry.in_versions[i]) return entry.in[i];
  auto guarded = std::make_shared<TensorNode>(tensor.type, tensor.storage, tensor.offset_bytes,
                                              tensor.strides);
  guarded->guard = static_cast<std::int64_t>(entry.in_versions[i]);
  guarded->requires_grad = tensor.requires_grad;
  return guarded;
}

Value saved_output(const std::shared_ptr<TapeEntry>& entry, std::size_t i) {
  const TapeEntry::Output& out = entry->out[i];
  auto tensor = std::make_shared<TensorNode>(out.type, out.storage, out.offset_bytes, out.strides);
  if (out.storage->version() != out.version) tensor->guard = static_cast<std::int64_t>(out.version);
  if (is_floating(out.type.dtype)) {
    tensor->requires_grad = true;
    tensor->tape = entry;
    tensor->tape_output = static_cast<int>(i);
  }
  return tensor;
}

class Sweep {
 public:
  explicit Sweep(bool create_graph) : mode_(create_graph) {}

  // Adds a gradient to what `tensor` has so far.
  void add(const Value& value, const Value& dy) {
    const auto& tensor = static_cast<const TensorNode&>(*value);
    if (!tensor.requires_grad) return;
    if (dy->type.shape != tensor.type.shape)
      throw ShapeError(cat("backward: a gradient of shape ", to_string(dy->type.shape),
                           " came for a tensor of shape ", to_string(tensor.type.shape)));
    if (tensor.tape != nullptr) {
      auto& slot = waiting_[tensor.tape.get()];
      if (slot.entry == nullptr) {
        slot.entry = tensor.tape;
        slot.dy.resize(tensor.tape->out.size());
        heap_.push({tensor.tape->order, tensor.tape.get()});
      }
      sum(slot.dy[tensor.tape_output], dy);
    } else {
      auto [at, fresh] = leaf_places_.try_emplace(&tensor, leaves_.size());
      if (fresh) leaves_.push_back({value, nullptr});
      sum(leaves_[at->second].second, dy);
    }
  }

  // Gradients of these are kept after their entry has run.
  void keep(const Value& value) { kept_[key_of(static_cast<const TensorNode&>(*value))] = nullptr; }

  void run() {
    const GradMode mode(mode_);
    while (!heap_.empty()) {
      const TapeEntry* next = heap_.top().second;
      heap_.pop();
      auto node = waiting_.extract(next);
      step(node.mapped().entry, node.mapped().dy);
    }
  }

  Value gradient_of(const Value& value) const {
    const auto& tensor = static_cast<const TensorNode&>(*value);
    if (tensor.tape != nullptr) {
      const auto at = kept_.find(key_of(tensor));
      return at == kept_.end() ? nullptr : at->second;
    }
    const auto at = leaf_places_.find(&tensor);
    return at == leaf_places_.end() ? nullptr : leaves_[at->second].second;
  }

  const std::vector<std::pair<Value, Value>>& leaves() const { return leaves_; }

  void sum(Value& slot, const Value& dy) {
    const GradMode mode(mode_);
    slot = slot == nullptr ? dy : eager_builder().apply("add", {slot, dy});
  }

 private:
  struct Waiting {
    std::shared_ptr<TapeEntry> entry;
    std::vector<Value> dy;
  };

  void step(const std::shared_ptr<TapeEntry>& entry, std::span<const Value> dy) {
    if (!kept_.empty())
      for (std::size_t i = 0; i < dy.size(); ++i)
        if (const auto at = kept_.find({entry.get(), static_cast<int>(i)}); at != kept_.end())
          at->second = dy[i];
    std::vector<Value> in, out;
    const std::unique_ptr<bool[]> needs(new bool[entry->in.size()]);
    for (std::size_t i = 0; i < entry->in.size(); ++i) {
      in.push_back(saved_input(*entry, i));
      needs[i] = static_cast<const TensorNode&>(*entry->in[i]).requires_grad;
    }
    for (std::size_t i = 0; i < entry->out.size(); ++i) out.push_back(saved_output(entry, i));
    const std::vector<Value> dx =
        entry->op->grad({eager_builder(), in, out, dy, {needs.get(), in.size()}, entry->attrs});
    for (std::size_t i = 0; i < dx.size() && i < in.size(); ++i)
      if (needs[i] && dx[i] != nullptr) add(entry->in[i], dx[i]);
  }

  bool mode_;
  std::priority_queue<std::pair<std::uint64_t, const TapeEntry*>> heap_;
  std::unordered_map<const TapeEntry*, Waiting> waiting_;
  std::unordered_map<const TensorNode*, std::size_t> leaf_places_;
  std::vector<std::pair<Value, Value>> leaves_;
  std::unordered_map<Key, Value, KeyHash> kept_;
};

Value seed_of(const Value& root, const Value& dy) {
  const TensorNode& tensor = as_tensor(root, "backward");
  if (!tensor.requires_grad)
    throw ValueError(cat("backward: this tensor ", dtype_name(tensor.type.dtype),
                         to_string(tensor.type.shape),
                         " does not depend on anything that requires a gradient. Set "
                         "requires_grad on an input, use a trainable Variable, and compute it "
                         "outside no_grad()"));
  if (dy == nullptr) {
    if (element_count(tensor.type.shape) != 1)
      throw ValueError(cat("backward: a tensor of shape ", to_string(tensor.type.shape),
                           " has more than one element, so it needs the gradient argument: "
                           "t.backward(dy), or reduce it first, as in ops.sum(t).backward()"));
    return full_tensor(tensor.type, 1.0, tensor.device());
  }
  const TensorNode& weight = as_tensor(dy, "backward");
  if (!(weight.type == tensor.type))
    throw ShapeError(cat("backward: the gradient is ", dtype_name(weight.type.dtype),
                         to_string(weight.type.shape), " but the tensor is ",
                         dtype_name(tensor.type.dtype), to_string(tensor.type.shape)));
  return dy;
}

}  // namespace

std::vector<Value> gradients(std::span<const Value> roots, std::span<const Value> dy,
                             std::span<const Value> wanted, bool create_graph) {
  const ScopedBuilder eager(eager_builder());
  Sweep sweep(create_graph);
  for (const Value& value : wanted) {
    as_tensor(value, "gradients");
    sweep.keep(value);
  }
  for (std::size_t i = 0; i < roots.size(); ++i)
    sweep.add(roots[i], seed_of(roots[i], i < dy.size() ? dy[i] : nullptr));
  sweep.run();
  std::vector<Value> out;
  for (const Value& value : wanted) out.push_back(sweep.gradient_of(value));
  return out;
}

void backward(const Value& root, const Value& dy, bool create_graph) {
  const ScopedBuilder eager(eager_builder());
  Sweep sweep(create_graph);
  sweep.add(root, seed_of(root, dy));
  sweep.run();
  for (const auto& [leaf, gradient] : sweep.leaves()) {
    auto& tensor = static_cast<TensorNode&>(*leaf);
    const auto variable = tensor.variable.lock();
    Value total = variable != nullptr ? variable->grad() : tensor.grad;
    sweep.sum(total, to_device(as_tensor_ptr(gradient, "backward"), tensor.device()));
    if (variable != nullptr) variable->set_grad(total);
    tensor.grad = std::move(total);
  }
}

}  // namespace densa
