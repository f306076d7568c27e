// A predictor as a Python object.
#pragma once
#include <memory>

#include "bindings/python.h"
#include "graph/program.h"
#include "predict/predictor.h"

namespace densa::bindings {

py::object to_python(std::shared_ptr<const Predictor> predictor);
// The frozen program on a GPU; `same` is what it is on the CPU.
py::object to_gpu_predictor(Program program, Device device, const Predictor& same);
// Throws TypeError for any other object.
const Predictor& predictor_of(const py::handle& object);

}  // namespace densa::bindings
