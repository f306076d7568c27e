#include "predict/formats.h"

#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/storage.h"

namespace densa {
namespace {

constexpr std::size_t kLine = 64;

const NetValue& value(const Net& net, int id) { return net.values[static_cast<std::size_t>(id)]; }

// The numbers of a float32 matrix in panels.
Panels<const float> panels_of(const Net& net, const NetValue& w) {
  return {reinterpret_cast<const float*>(net.arena + w.at), w.type.shape[0] * kPanel};
}

// The part of a variable's path that names its layer: sequential/dense_1/kernel.
std::string layer_name(std::string path) {
  if (const auto end = path.rfind('/'); end != std::string::npos) path.resize(end);
  if (const auto slash = path.rfind('/'); slash != std::string::npos) path.erase(0, slash + 1);
  return path.empty() ? "product" : path;
}

// Lays out all constants; fill(id, to) writes those that no other network has.
template <class F>
void fill_arena(Net& net, const F& fill) {
  net.arena_bytes = 0;
  for (NetValue& v : net.values) {
    if (v.kind != NetValue::kConstant) continue;
    v.at = net.arena_bytes;
    net.arena_bytes += (constant_bytes(v) + kLine - 1) / kLine * kLine;
  }
  const auto storage = Storage::zeros(std::max(net.arena_bytes, kLine));
  auto* const arena = static_cast<std::byte*>(storage->data());
  for (std::size_t id = 0; id < net.values.size(); ++id)
    if (net.values[id].kind == NetValue::kConstant)
      fill(static_cast<int>(id), arena + net.values[id].at);
  net.owner = storage;
  net.arena = arena;
}

}  // namespace

std::vector<NetLayer> layers_of(const Net& net) {
  std::vector<NetLayer> layers;
  std::set<std::string> taken;
  for (std::size_t n = 0; n < net.nodes.size(); ++n) {
    const NetNode& node = net.nodes[n];
    if (node.in.size() < 2 || !is_product(net, node)) continue;
    const NetValue &x = value(net, node.in[0]), &w = value(net, node.in[1]);
    const std::int64_t rows = matrix_rows(x.type.shape);
    if (w.type.dtype != DType::kFloat32 || x.kind == NetValue::kConstant || rows == 0) continue;
    const std::string base = layer_name(node.name);
    std::string name = base;
    for (int i = 2; !taken.insert(name).second; ++i) name = cat(base, ":", i);
    layers.push_back({static_cast<int>(n),
                      name,
                      w.type.shape[0],
                      w.type.shape[1],
                      rows,
                      {w.packing, node.x_scale, node.x_zero}});
  }
  return layers;
}

Net with_formats(const Net& net, std::span<const LayerFormat> formats) {
  const std::vector<NetLayer> layers = layers_of(net);
  if (formats.size() != layers.size())
    throw ValueError(cat("formats: ", layers.size(), " layers, got ", formats.size()));
  Net made = net;
  std::vector<int> from(net.values.size());  // value of `net` whose numbers each one has
  for (std::size_t v = 0; v < from.size(); ++v) from[v] = static_cast<int>(v);
  std::map<std::pair<int, Packing>, int> converted;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    NetNode& node = made.nodes[static_cast<std::size_t>(layers[i].node)];
    const int w = node.in[1];
    node.x_scale = formats[i].x_scale;
    node.x_zero = formats[i].x_zero;
    if (formats[i].packing == layers[i].format.packing) continue;
    if (layers[i].format.packing != Packing::kPanels)
      throw ValueError(cat("formats: the weights of '", layers[i].name, "' are ",
                           is_narrow(layers[i].format.packing) ? "narrow" : "sparse", " already"));
    const auto [found, first] =
        converted.try_emplace({w, formats[i].packing}, static_cast<int>(made.values.size()));
    if (first) {
      NetValue other = value(net, w);
      other.packing = formats[i].packing;
      if (other.packing == Packing::kSparse) other.blocks = blocks_of(net, layers[i]).kept;
      made.values.push_back(other);
      from.push_back(w);
    }
    node.in[1] = found->second;
  }

  // What nobody reads any more goes.
  std::vector<bool> used(made.values.size());
  for (std::size_t v = 0; v < used.size(); ++v)
    used[v] = made.values[v].kind != NetValue::kConstant;
  for (const NetNode& node : made.nodes)
    for (int id : node.in) used[static_cast<std::size_t>(id)] = true;
  std::vector<int> moved(made.values.size()), source;
  std::vector<NetValue> kept;
  for (std::size_t v = 0; v < used.size(); ++v) {
    moved[v] = static_cast<int>(kept.size());
    if (!used[v]) continue;
    kept.push_back(made.values[v]);
    source.push_back(from[v]);
  }
  made.values = std::move(kept);
  for (NetNode& node : made.nodes) {
    for (int& id : node.in) id = moved[static_cast<std::size_t>(id)];
    for (int& id : node.out) id = moved[static_cast<std::size_t>(id)];
  }
  for (NetOutput& output : made.outputs)
    output.value = moved[static_cast<std::size_t>(output.value)];

  fill_arena(made, [&](int id, std::byte* to) {
    const NetValue &v = value(made, id), &old = value(net, source[static_cast<std::size_t>(id)]);
    const Dims& shape = v.type.shape;
    if (v.packing == old.packing) {
      std::memcpy(to, net.arena + old.at, constant_bytes(v));
    } else if (v.packing == Packing::kSparse) {
      sparse_pack(to, panels_of(net, old), shape[0], shape[1]);
    } else {
      narrow_pack(narrow_form(v.packing), to, panels_of(net, old), shape[0], shape[1]);
    }
  });
  return made;
}

BlockCount blocks_of(const Net& net, const NetLayer& layer) {
  const NetValue& w = value(net, net.nodes[static_cast<std::size_t>(layer.node)].in[1]);
  const std::int64_t all = panel_count(layer.out) * layer.in;
  if (w.packing == Packing::kSparse) return {w.blocks, all};
  if (w.packing != Packing::kPanels)
    throw ValueError(cat("formats: the weights of '", layer.name, "' are narrow"));
  return {sparse_blocks(panels_of(net, w), layer.in, layer.out), all};
}

Net layer_alone(const Net& net, const NetLayer& layer) {
  const NetNode& node = net.nodes[static_cast<std::size_t>(layer.node)];
  Net made;
  const TypeInfo x{DType::kFloat32, {kRows, layer.in}}, y{DType::kFloat32, {kRows, layer.out}};
  made.inputs = {{"x", x}};
  made.values.push_back({.type = x, .kind = NetValue::kInput, .input = 0});
  made.nodes.push_back(node);
  made.nodes[0].in = {0};
  for (std::size_t i = 1; i < node.in.size(); ++i) {
    made.nodes[0].in.push_back(static_cast<int>(made.values.size()));
    made.values.push_back(value(net, node.in[i]));
  }
  made.nodes[0].out = {static_cast<int>(made.values.size())};
  made.outputs = {{"y", static_cast<int>(made.values.size())}};
  made.values.push_back({.type = y});
  made.owner = net.owner;
  made.arena = net.arena;
  made.arena_bytes = net.arena_bytes;
  return made;
}

Net input_of_layer(const Net& net, const NetLayer& layer) {
  Net made = net;
  made.outputs = {{"x", net.nodes[static_cast<std::size_t>(layer.node)].in[0]}};
  return made;
}

}  // namespace densa
