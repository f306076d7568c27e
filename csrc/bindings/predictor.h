// A predictor as a Python object.
#pragma once
#include <memory>

#include "bindings/python.h"
#include "predict/predictor.h"

namespace densa::bindings {

py::object to_python(std::shared_ptr<const Predictor> predictor);
// Throws TypeError for any other object.
const Predictor& predictor_of(const py::handle& object);

}  // namespace densa::bindings
