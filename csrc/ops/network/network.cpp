#include "ops/network/network.h"

#include <iomanip>
#include <sstream>

#include "ops/network/row_program.h"

namespace densa {
namespace {

std::vector<TypeInfo> infer(std::span<const TypeInfo> in, const Attrs& attrs) {
  TypeInfo out = in[0];
  std::size_t next = 1;
  for (const NetworkLayer& layer : parse_layers(attrs.get_string("layers", ""))) {
    if (next + static_cast<std::size_t>(layer.inputs()) > in.size())
      throw ValueError(cat("network: ", in.size(), " inputs are too few for its layers"));
    if (layer.dense) out.shape[1] = in[next].shape[1];
    next += static_cast<std::size_t>(layer.inputs());
  }
  return {out};
}

const Op kNetwork{"network", infer, nullptr, nullptr};
// The pass that makes it knows the types of its outputs.
const Op kRowProgram{"row_program", nullptr, nullptr, nullptr};

}  // namespace

const Op& network_op() { return kNetwork; }

const Op& row_program_op() { return kRowProgram; }

std::string layers_text(const std::vector<NetworkLayer>& layers) {
  std::ostringstream out;
  out << std::setprecision(17);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const NetworkLayer& layer = layers[i];
    const char* before = i == 0 ? "" : "; ";
    const auto word = [&](const std::string& text) -> std::ostringstream& {
      out << before << text;
      before = " ";
      return out;
    };
    if (layer.dense) word("dense");
    if (layer.bias) word("bias");
    if (layer.norm) word("norm=") << layer.epsilon;
    if (!layer.activation.empty()) {
      word(layer.activation);
      if (layer.parameter != 0) out << '=' << layer.parameter;
    }
  }
  return out.str();
}

}  // namespace densa
