// Runs a frozen network of one float32 input and one float32 output on rows of text.
//
//   predict net.densa < rows.txt
//
// Every row that it reads is answered with a line, in digits that give the same floats back.
#include <cstdio>
#include <densa.hpp>
#include <iostream>
#include <vector>

namespace {

std::size_t floats_of(const densa_tensor_info& info) {
  if (info.dtype != DENSA_FLOAT32)
    throw std::runtime_error(std::string(info.name) + " is not float32");
  return info.row_bytes / sizeof(float);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "predict net.densa < rows.txt\n", 2;
  try {
    const densa::Model model(argv[1]);
    if (model.inputs() != 1 || model.outputs() != 1)
      throw std::runtime_error("the network must have one input and one output");
    std::vector<float> x(floats_of(model.input(0))), y(floats_of(model.output(0)));
    densa::Session session(model, 1);
    for (;;) {
      for (float& number : x)
        if (!(std::cin >> number)) return 0;
      session.run(x.data(), y.data(), 1);
      for (std::size_t i = 0; i < y.size(); ++i)
        std::printf("%s%.9g", i > 0 ? " " : "", static_cast<double>(y[i]));
      std::printf("\n");
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
