// Arrays of other libraries in a GPU's memory.
#pragma once
#include <memory>

#include "bindings/python.h"

namespace densa::bindings {

// A tensor over the memory that the object tells of by __cuda_array_interface__.
TensorPtr from_cuda_array(const py::object& object);
// Holds the object until the last copy of the pointer is gone.
std::shared_ptr<void> keep_alive(const py::object& object);

}  // namespace densa::bindings
