// network: a chain of narrow layers in one op, which only plans on a GPU have.
//
// A layer is a product with its bias, a batch normalisation with given statistics and an
// activation, in this order, each of which may be missing. Every number is computed as by the ops
// that the chain replaces; a sum begins with its bias and adds k in ascending order, whatever the
// number of rows.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "ops/op.h"

namespace densa {

inline constexpr std::int64_t kWidestLayer = 256;
inline constexpr std::size_t kMostLayers = 22;  // in one op: what a launch's arguments can hold

struct NetworkLayer {
  bool dense = false, bias = false, norm = false;
  double epsilon = 0;
  std::string activation;  // empty: none
  double parameter = 0;

  // Inputs beside x: w, b, then gamma, beta, mean, variance.
  int inputs() const { return (dense ? 1 : 0) + (bias ? 1 : 0) + (norm ? 4 : 0); }
};

// x (rows, width) and the layers' inputs -> y. Attribute `layers`: "dense bias norm=0.001 elu=1; …"
const Op& network_op();

std::string layers_text(const std::vector<NetworkLayer>& layers);

// The layers of such a text.
inline std::vector<NetworkLayer> parse_layers(const std::string& text) {
  std::vector<NetworkLayer> layers(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" ;", at), text.size());
    const std::string word = text.substr(at, end - at);
    const std::size_t equals = word.find('=');
    const double number = equals == std::string::npos ? 0 : std::stod(word.substr(equals + 1));
    const std::string name = word.substr(0, equals);
    NetworkLayer& layer = layers.back();
    if (name == "dense") {
      layer.dense = true;
    } else if (name == "bias") {
      layer.bias = true;
    } else if (name == "norm") {
      layer.norm = true;
      layer.epsilon = number;
    } else if (!name.empty()) {
      layer.activation = name;
      layer.parameter = number;
    }
    if (end < text.size() && text[end] == ';') layers.emplace_back();
    at = end + 1;
  }
  return layers;
}

}  // namespace densa
