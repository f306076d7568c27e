// Networks made of a network: with other formats of weights, and parts of it to look at.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "predict/net.h"

namespace densa {

// How the weights of a product are kept, and how int8 quantizes its x (NetNode).
struct LayerFormat {
  Packing packing = Packing::kPanels;  // or narrow, or sparse
  double x_scale = 0;
  int x_zero = 0;
};

// A product of float32 whose weights may have another format.
struct NetLayer {
  int node = 0;
  std::string name;  // never empty, no two alike
  std::int64_t in = 0, out = 0;
  std::int64_t rows = 1;  // that it multiplies, for each row of the batch
  LayerFormat format;
};
std::vector<NetLayer> layers_of(const Net& net);

// A copy whose layers have these formats, one for each of layers_of(net). Throws ValueError where a
// layer's weights are not in panels and another format is asked for, and as narrow_pack.
Net with_formats(const Net& net, std::span<const LayerFormat> formats);

// The blocks of a layer's weights that sparse ones would keep, and all; weights are in panels or
// sparse, else ValueError.
struct BlockCount {
  std::int64_t kept = 0, all = 0;
};
BlockCount blocks_of(const Net& net, const NetLayer& layer);

// The product of a layer alone, from rows of floats to rows of floats.
Net layer_alone(const Net& net, const NetLayer& layer);

// The network whose only output is what a layer multiplies.
Net input_of_layer(const Net& net, const NetLayer& layer);

}  // namespace densa
