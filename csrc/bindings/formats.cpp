// The formats of a predictor's weights: what layers it has, other formats, times.
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "base/storage.h"
#include "bindings/predictor.h"
#include "predict/formats.h"

namespace densa::bindings {
namespace {

using FormatTuple = std::tuple<std::string, double, int>;  // name, scale and zero of x

constexpr std::pair<const char*, Packing> kFormats[] = {{"float32", Packing::kPanels},
                                                        {"bfloat16", Packing::kBFloat16},
                                                        {"int8", Packing::kInt8},
                                                        {"sparse", Packing::kSparse}};

LayerFormat format_of(const FormatTuple& given) {
  const auto& [name, scale, zero] = given;
  for (const auto& [known, packing] : kFormats)
    if (name == known) return {packing, scale, zero};
  throw ValueError(cat("formats: float32, bfloat16, int8 or sparse expected, got '", name, "'"));
}

FormatTuple tuple_of(const LayerFormat& format) {
  for (const auto& [name, packing] : kFormats)
    if (packing == format.packing) return {name, format.x_scale, format.x_zero};
  return {};
}

py::object predictor_from(Net net) {
  return to_python(std::make_shared<const Predictor>(std::move(net)));
}

NetLayer layer_at(const Net& net, std::size_t i) {
  const std::vector<NetLayer> layers = layers_of(net);
  if (i >= layers.size()) throw ValueError(cat("predictor: layer ", i, " of ", layers.size()));
  return layers[i];
}

// Median seconds of a call on one thread. The predictors take turns, so that what else the machine
// does meets all of them.
std::vector<double> times(const std::vector<const Predictor*>& predictors, const void* x,
                          std::int64_t rows, int samples, double least) {
  using Clock = std::chrono::steady_clock;
  struct Turn {
    std::shared_ptr<Storage> scratch, y;
    std::int64_t calls = 1;
    std::vector<double> seconds;
  };
  std::vector<Turn> turns(predictors.size());
  const auto run = [&](std::size_t i) {
    Turn& turn = turns[i];
    void* const out = turn.y->data();
    const auto start = Clock::now();
    for (std::int64_t call = 0; call < turn.calls; ++call)
      predictors[i]->run(&x, &out, rows, static_cast<std::byte*>(turn.scratch->data()));
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const Net& net = predictors[i]->net();
    const Dims& shape = net.values[static_cast<std::size_t>(net.outputs[0].value)].type.shape;
    turns[i].scratch =
        Storage::allocate(std::max<std::size_t>(predictors[i]->scratch_bytes(rows), 1));
    turns[i].y = Storage::allocate(
        std::max<std::size_t>(byte_count(with_rows(shape, rows), sizeof(float)), 1));
    run(i);
    const double once = std::max(run(i), 1e-8);
    turns[i].calls = static_cast<std::int64_t>(std::ceil(std::max(least / once, 1.0)));
  }
  for (int sample = 0; sample < samples; ++sample)
    for (std::size_t i = 0; i < turns.size(); ++i)
      turns[i].seconds.push_back(run(i) / static_cast<double>(turns[i].calls));
  std::vector<double> medians;
  for (Turn& turn : turns) {
    const auto middle = turn.seconds.begin() + static_cast<std::ptrdiff_t>(turn.seconds.size() / 2);
    std::nth_element(turn.seconds.begin(), middle, turn.seconds.end());
    medians.push_back(*middle);
  }
  return medians;
}

}  // namespace

void bind_formats(py::module_& m) {
  m.def(
      "predictor_layers",
      [](const py::object& predictor) {
        using Layer =
            std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, FormatTuple>;
        std::vector<Layer> list;
        for (const NetLayer& layer : layers_of(predictor_of(predictor).net()))
          list.emplace_back(layer.name, layer.in, layer.out, layer.rows, tuple_of(layer.format));
        return list;
      },
      py::arg("predictor"),
      "(name, in, out, rows for each of the batch, (format, scale, zero)) of the products whose "
      "weights may have another format.");
  m.def(
      "predictor_with",
      [](const py::object& predictor, const std::vector<FormatTuple>& formats) {
        std::vector<LayerFormat> wanted;
        wanted.reserve(formats.size());
        for (const FormatTuple& format : formats) wanted.push_back(format_of(format));
        return predictor_from(with_formats(predictor_of(predictor).net(), wanted));
      },
      py::arg("predictor"), py::arg("formats"), "A copy whose layers have these formats.");
  m.def(
      "predictor_layer",
      [](const py::object& predictor, std::size_t layer) {
        const Net& net = predictor_of(predictor).net();
        return predictor_from(layer_alone(net, layer_at(net, layer)));
      },
      py::arg("predictor"), py::arg("layer"), "The product of a layer alone.");
  m.def(
      "predictor_layer_blocks",
      [](const py::object& predictor, std::size_t layer) {
        const Net& net = predictor_of(predictor).net();
        const BlockCount blocks = blocks_of(net, layer_at(net, layer));
        return std::pair(blocks.kept, blocks.all);
      },
      py::arg("predictor"), py::arg("layer"),
      "Blocks of a layer's weights that sparse ones keep, and all.");
  m.def(
      "predictor_layer_input",
      [](const py::object& predictor, std::size_t layer) {
        const Net& net = predictor_of(predictor).net();
        return predictor_from(input_of_layer(net, layer_at(net, layer)));
      },
      py::arg("predictor"), py::arg("layer"), "A predictor of what a layer multiplies.");
  m.def(
      "predictor_times",
      [](const std::vector<py::object>& objects, const py::array_t<float, py::array::c_style>& x,
         int samples, double least) {
        std::vector<const Predictor*> predictors;
        for (const py::object& object : objects) {
          predictors.push_back(&predictor_of(object));
          const Net& net = predictors.back()->net();
          const TypeInfo wanted{DType::kFloat32, {kRows, x.ndim() == 2 ? x.shape(1) : -1}};
          if (net.inputs.size() != 1 || net.outputs.size() != 1 || !(net.inputs[0].type == wanted))
            throw ValueError("predictor_times: one input of rows of floats, one output");
        }
        if (samples < 1) throw ValueError("predictor_times: samples must be at least 1");
        const void* const data = x.data();
        const std::int64_t rows = x.shape(0);
        const py::gil_scoped_release release;
        return times(predictors, data, rows, samples, least);
      },
      py::arg("predictors"), py::arg("x"), py::arg("samples"), py::arg("least"),
      "Median seconds of a call on one thread, in samples of at least so many seconds.");
}

}  // namespace densa::bindings
