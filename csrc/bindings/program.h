// A Program as Python code holds it.
#pragma once
#include "bindings/python.h"
#include "graph/freeze.h"
#include "graph/program.h"

namespace densa::bindings {

// With the recorder that feeds it while it is a context.
struct PyProgram {
  Program program;
  Recorder recorder{program};

  // `where` tells the path of the layer that is at work; or it is None.
  explicit PyProgram(const py::object& where) {
    if (!where.is_none()) recorder.where = [where] { return where().cast<std::string>(); };
    recorder.open_alike = true;
  }
  explicit PyProgram(Program made) : program(std::move(made)) { recorder.open_alike = true; }
  PyProgram(const PyProgram&) = delete;  // the recorder points here
  PyProgram& operator=(const PyProgram&) = delete;
};

// What freezing did, as lists of lines by name.
py::dict report_lines(const FreezeReport& report);

}  // namespace densa::bindings
