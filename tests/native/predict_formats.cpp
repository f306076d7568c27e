// Networks with narrow and sparse weights: what with_formats makes runs, is read back from a file
// as it was, and gives each row the same bits however rows are cut.
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/storage.h"
#include "check.h"
#include "predict/file.h"
#include "predict/formats.h"
#include "predict/predictor.h"

namespace {

using namespace densa;

constexpr std::int64_t kIn = 37, kHidden = 50, kOut = 7;

// x -> dense, relu -> dense; the second product's w is also that of a third.
Net example() {
  Net net;
  const auto constant = [&](Dims shape, Packing packing) {
    NetValue value;
    value.type = {DType::kFloat32, shape};
    value.kind = NetValue::kConstant;
    value.packing = packing;
    value.at = net.arena_bytes;
    net.arena_bytes += (constant_bytes(value) + 63) / 64 * 64;
    net.values.push_back(value);
  };
  const auto matrix = [&](std::int64_t cols, NetValue::Kind kind) {
    NetValue value;
    value.type = {DType::kFloat32, {kRows, cols}};
    value.kind = kind;
    value.input = kind == NetValue::kInput ? 0 : -1;
    net.values.push_back(value);
  };
  net.inputs = {{"x", {DType::kFloat32, {kRows, kIn}}}};
  matrix(kIn, NetValue::kInput);
  constant({kIn, kHidden}, Packing::kPanels);
  constant({kHidden}, Packing::kRows);
  constant({kHidden, kOut}, Packing::kPanels);
  matrix(kHidden, NetValue::kNode);
  matrix(kOut, NetValue::kNode);
  matrix(kOut, NetValue::kNode);
  Attrs relu;
  relu.set("activation", std::string("relu"));
  net.nodes = {{&find_op("dense"), {0, 1, 2}, {4}, relu, "net/first/kernel"},
               {&find_op("matmul"), {4, 3}, {5}, {}, "net/last/kernel"},
               {&find_op("matmul"), {4, 3}, {6}, {}, "net/last/kernel"}};
  net.outputs = {{"a", 5}, {"b", 6}};
  const auto storage = Storage::zeros(net.arena_bytes);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const NetValue& value : net.values) {
    if (value.kind != NetValue::kConstant) continue;
    auto* const to = reinterpret_cast<float*>(static_cast<std::byte*>(storage->data()) + value.at);
    const std::int64_t rows = value.type.shape.rank() == 2 ? value.type.shape[0] : 1;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < value.type.shape.back(); ++c)
        to[(c / kPanel * rows + r) * kPanel + c % kPanel] =
            rows > 1 && (r + c / kPanel) % 4 == 0 ? 0 : normal(random) / 6;
  }
  net.owner = storage;
  net.arena = static_cast<const std::byte*>(storage->data());
  return net;
}

using Outputs = std::vector<std::vector<float>>;

Outputs answers(const Predictor& predictor, const std::vector<float>& x, int threads) {
  const auto rows = static_cast<std::int64_t>(x.size()) / kIn;
  Outputs y(2, std::vector<float>(static_cast<std::size_t>(rows * kOut)));
  const auto scratch = Storage::allocate(predictor.scratch_bytes(rows, threads));
  const void* in = x.data();
  void* out[] = {y[0].data(), y[1].data()};
  predictor.run(&in, out, rows, static_cast<std::byte*>(scratch->data()), threads);
  return y;
}

std::vector<float> numbers(std::int64_t rows) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x;
  for (std::int64_t i = 0; i < rows * kIn; ++i) x.push_back(normal(random));
  return x;
}

double change(const Outputs& y, const Outputs& wanted, std::size_t k) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < y[k].size(); ++i) {
    error += std::pow(static_cast<double>(y[k][i]) - static_cast<double>(wanted[k][i]), 2);
    size += std::pow(static_cast<double>(wanted[k][i]), 2);
  }
  return std::sqrt(error / size);
}

void check_formats(const std::vector<LayerFormat>& formats, double least, double most) {
  const Net net = example();
  const auto predictor = std::make_unique<Predictor>(with_formats(net, formats));
  const std::vector<float> x = numbers(150);
  const Outputs wanted = answers(Predictor(net), x, 1), y = answers(*predictor, x, 1);
  for (std::size_t k = 0; k < 2; ++k)
    CHECK(change(y, wanted, k) >= least && change(y, wanted, k) <= most, "output %zu changes by %g",
          k, change(y, wanted, k));
  for (int threads : {2, 3}) CHECK(answers(*predictor, x, threads) == y, "%d threads", threads);
  for (std::size_t rows : {1, 2, 5, 17}) {
    const std::vector<float> some(x.end() - static_cast<std::ptrdiff_t>(rows * kIn), x.end());
    for (int threads : {1, 2}) {
      const Outputs part = answers(*predictor, some, threads);
      for (std::size_t k = 0; k < 2; ++k)
        CHECK(std::memcmp(part[k].data(), y[k].data() + y[k].size() - rows * kOut,
                          rows * kOut * sizeof(float)) == 0,
              "%zu rows on %d threads", rows, threads);
    }
  }

  // The bytes of a file.
  const Net& made = predictor->net();
  const std::string front = net_file_header(made, {});
  const auto file = Storage::allocate(front.size() + made.arena_bytes);
  auto* const bytes = static_cast<std::byte*>(file->data());
  std::memcpy(bytes, front.data(), front.size());
  std::memcpy(bytes + front.size(), made.arena, made.arena_bytes);
  NetFile read = read_net_file(bytes, front.size() + made.arena_bytes, file);
  CHECK(to_string(read.net) == to_string(made), "%s", to_string(read.net).c_str());
  const std::vector<NetLayer> layers = layers_of(read.net);
  for (std::size_t i = 0; i < formats.size(); ++i)
    CHECK(layers[i].format.packing == formats[i].packing &&
              layers[i].format.x_scale == formats[i].x_scale &&
              layers[i].format.x_zero == formats[i].x_zero,
          "layer %zu", i);
  CHECK(answers(Predictor(std::move(read.net)), x, 1) == y, "from a file");
}

template <class F>
void check_raises(const char* what, const F& f) {
  bool refused = false;
  try {
    f();
  } catch (const ValueError&) {
    refused = true;
  }
  CHECK(refused, "%s", what);
}

void check_refused(const char* what, const Net& net, const std::vector<LayerFormat>& formats) {
  check_raises(what, [&] { check_net(with_formats(net, formats)); });
}

}  // namespace

int main() {
  const LayerFormat plain{}, bfloat16{Packing::kBFloat16}, int8{Packing::kInt8},
      given{Packing::kInt8, 0.04, 120}, sparse{Packing::kSparse};
  const std::vector<NetLayer> layers = layers_of(example());
  CHECK(layers.size() == 3 && layers[0].name == "first" && layers[1].name == "last" &&
            layers[2].name == "last:2" && layers[0].in == kIn && layers[0].out == kHidden,
        "layers");
  check_formats({plain, plain, plain}, 0, 0);
  check_formats({sparse, sparse, sparse}, 0, 0);
  check_formats({plain, sparse, plain}, 0, 0);
  check_formats({sparse, int8, sparse}, 0, 0.04);
  check_formats({bfloat16, bfloat16, bfloat16}, 1e-4, 0.01);
  check_formats({int8, int8, int8}, 1e-4, 0.04);
  check_formats({given, int8, given}, 1e-4, 0.2);
  check_formats({plain, int8, bfloat16}, 1e-4, 0.04);  // one matrix in two formats

  const Net net = example();
  for (const NetLayer& layer : layers) {
    const Predictor alone(layer_alone(net, layer)), before(input_of_layer(net, layer));
    CHECK(alone.net().nodes.size() == 1 && before.net().outputs.size() == 1, "parts");
  }
  check_refused("too few", net, {int8});
  check_refused("scale without int8", net, {{Packing::kBFloat16, 0.1, 0}, plain, plain});
  check_refused("a scale that is too small", net, {{Packing::kInt8, 1e-40, 0}, plain, plain});
  check_refused("a zero that is no byte", net, {{Packing::kInt8, 0.1, 256}, plain, plain});
  check_refused("narrow already", with_formats(net, std::vector<LayerFormat>{int8, int8, int8}),
                {plain, plain, plain});
  const Net all = with_formats(net, std::vector<LayerFormat>{sparse, sparse, sparse});
  check_refused("sparse already", all, {plain, sparse, sparse});
  const BlockCount blocks = blocks_of(net, layers[0]), same = blocks_of(all, layers_of(all)[0]);
  CHECK(blocks.all == 4 * kIn && blocks.kept < blocks.all && same.kept == blocks.kept, "blocks");
  for (std::int64_t change : {-1, 1, 1 << 20}) {
    Net wrong = all;
    for (NetValue& value : wrong.values)
      if (value.packing == Packing::kSparse) value.blocks += change;
    check_raises("another number of blocks", [&] { check_net(wrong); });
  }
  if (failures > 0) std::printf("%d failures\n", failures);
  return failures > 0;
}
