//===- Runtime.cpp - The extension module transxssm._runtime --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A thin layer: arrays come as buffers whose shapes the Python side has
// checked, results are written into arrays that it has allocated. The buffer
// protocol is all that is used of NumPy, so one build serves every version.
//
//===----------------------------------------------------------------------===//

#include "runtime/Generation.h"
#include "runtime/Model.h"
#include "runtime/SafeTensors.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace py = pybind11;
using namespace transxssm;

namespace {

/// What the caller passed is wrong.
template <typename T> T valueOrThrow(Result<T> Made) {
  if (!Made)
    throw py::value_error(Made.message());
  return std::move(*Made);
}

/// Something else stands in the way.
template <typename T> T runOrThrow(Result<T> Made) {
  if (!Made)
    throw std::runtime_error(Made.message());
  return std::move(*Made);
}
void runOrThrow(const Status &Done) {
  if (!Done)
    throw std::runtime_error(Done.message());
}

/// A C-contiguous array of T; None gives a null pointer.
template <typename T> class Array {
public:
  explicit Array(const py::object &From, bool Writable = false) {
    if (From.is_none())
      return;
    Info = py::reinterpret_borrow<py::buffer>(From).request(Writable);
    int64_t Stride = sizeof(T);
    for (py::ssize_t D = Info.ndim - 1; D >= 0; --D) {
      if (Info.shape[D] > 1 && Info.strides[D] != Stride)
        throw py::value_error("expected a C-contiguous array");
      Stride *= Info.shape[D];
    }
    if (Info.itemsize != sizeof(T))
      throw py::value_error("expected elements of " +
                            std::to_string(sizeof(T)) + " bytes, got " +
                            std::to_string(Info.itemsize));
  }

  T *data() const { return static_cast<T *>(Info.ptr); }
  int64_t size() const { return Info.size; }
  int64_t dim(py::ssize_t D) const { return Info.shape.at(size_t(D)); }
  void expectSize(int64_t Count, const char *Name) const {
    if (Info.size != Count)
      throw py::value_error(std::string(Name) + ": expected " +
                            std::to_string(Count) + " elements, got " +
                            std::to_string(Info.size));
  }

private:
  py::buffer_info Info;
};

/// A model shared by Python objects; views of its tensors keep it alive.
struct SharedModel {
  std::shared_ptr<Model> Held;
};

/// The memory of one float32 tensor as a Python buffer; read-only where it is a
/// copy of what the device has.
struct TensorBuffer {
  std::shared_ptr<Model> Owner;
  TensorView View;

  py::buffer_info info() const {
    std::vector<py::ssize_t> Shape(View.Shape.begin(), View.Shape.end());
    std::vector<py::ssize_t> Strides(Shape.size());
    py::ssize_t Stride = sizeof(float);
    for (size_t D = Shape.size(); D-- > 0;) {
      Strides[D] = Stride;
      Stride *= Shape[D];
    }
    return py::buffer_info(View.Data, sizeof(float),
                           py::format_descriptor<float>::format(),
                           py::ssize_t(Shape.size()), Shape, Strides,
                           /*readonly=*/bool(View.Copy));
  }
};

TensorBuffer bufferOf(const SharedModel &M, Result<TensorView> View) {
  TensorView Found = valueOrThrow(std::move(View));
  if (Found.Type != DType::F32)
    throw py::value_error("tensor '" + Found.Name + "' is " +
                          nameOf(Found.Type) +
                          ": only f32 can be shared, copy it instead");
  return {M.Held, std::move(Found)};
}

py::tuple shapeOf(const TensorView &View) { return py::cast(View.Shape); }

/// Copies a tensor of any floating-point type into float32.
void copyTensor(const TensorView &View, const py::object &Into) {
  Array<float> Out(Into, /*Writable=*/true);
  Out.expectSize(View.numElements(), View.Name.c_str());
  runOrThrow(convertElements(View.Type, View.Data, DType::F32, Out.data(),
                             Out.size()));
}

SharedModel loadModel(const Package &From, const std::string &Weights,
                      const std::string &Device, uint64_t Seed,
                      unsigned Threads) {
  ModelOptions Options;
  Options.Device = Device;
  Options.Seed = Seed;
  Options.Threads = Threads;
  std::vector<std::string> Warnings;
  Options.Warn = [&](const std::string &Line) { Warnings.push_back(Line); };
  Result<Model> Made = [&] {
    py::gil_scoped_release Release;
    return Model::load(From, Weights, Options);
  }();
  SharedModel Shared{std::make_shared<Model>(valueOrThrow(std::move(Made)))};
  for (const std::string &Line : Warnings)
    if (PyErr_WarnEx(PyExc_RuntimeWarning, Line.c_str(), 1) != 0)
      throw py::error_already_set();
  return Shared;
}

void forward(SharedModel &M, const py::object &Ids, const py::object &Mask,
             const py::object &Logits) {
  Array<int32_t> I(Ids);
  Array<float> K(Mask), Out(Logits, true);
  const ModelConfig &Config = M.Held->config();
  Out.expectSize(Config.SequenceClassification ? I.dim(0) * Config.NumLabels
                                               : I.size() * Config.VocabSize,
                 "logits");
  Status Done;
  {
    py::gil_scoped_release Release;
    Done = M.Held->forward(I.data(), I.dim(0), I.dim(1), K.data(), Out.data());
  }
  runOrThrow(Done);
}

/// One for each token, or for each sequence of a classifier.
int64_t numLabels(const SharedModel &M, const Array<int32_t> &Ids) {
  return M.Held->config().SequenceClassification ? Ids.dim(0) : Ids.size();
}

double gradients(SharedModel &M, const py::object &Ids,
                 const py::object &Labels, const py::object &Mask) {
  Array<int32_t> I(Ids), L(Labels);
  Array<float> K(Mask);
  L.expectSize(numLabels(M, I), "labels");
  py::gil_scoped_release Release;
  Result<double> Loss =
      M.Held->gradients(I.data(), L.data(), I.dim(0), I.dim(1), K.data());
  py::gil_scoped_acquire Acquire;
  return runOrThrow(std::move(Loss));
}

py::tuple trainStep(SharedModel &M, const py::object &Ids,
                    const py::object &Labels, const py::object &Mask,
                    const Hyperparameters &Settings) {
  Array<int32_t> I(Ids), L(Labels);
  Array<float> K(Mask);
  L.expectSize(numLabels(M, I), "labels");
  Result<TrainResult> Done = [&] {
    py::gil_scoped_release Release;
    return M.Held->trainStep(I.data(), L.data(), I.dim(0), I.dim(1), K.data(),
                             Settings);
  }();
  TrainResult Out = runOrThrow(std::move(Done));
  return py::make_tuple(Out.Loss, Out.GradNorm, Out.Step);
}

void prefill(SharedModel &M, const py::object &Ids, const py::object &Mask,
             Cache &Past, const py::object &Logits) {
  Array<int32_t> I(Ids);
  Array<float> K(Mask), Out(Logits, true);
  Out.expectSize(I.dim(0) * M.Held->config().VocabSize, "logits");
  Status Done;
  {
    py::gil_scoped_release Release;
    Done = M.Held->prefill(I.data(), I.dim(0), I.dim(1), K.data(), Past,
                           Out.data());
  }
  runOrThrow(Done);
}

void decode(SharedModel &M, const py::object &Ids, Cache &Past,
            const py::object &Logits) {
  Array<int32_t> I(Ids);
  Array<float> Out(Logits, true);
  Out.expectSize(I.size() * M.Held->config().VocabSize, "logits");
  Status Done;
  {
    py::gil_scoped_release Release;
    Done = M.Held->decode(I.data(), I.dim(0), I.dim(1), Past, Out.data());
  }
  runOrThrow(Done);
}

/// Fills the columns of Tokens [B, N] and returns how many. `OnTokens`, if not
/// None, is called with the token of every row and ends it by returning False;
/// Ctrl-C ends it as well.
int64_t generateTokens(SharedModel &M, const py::object &Ids,
                       const py::object &Mask, const SamplingOptions &Options,
                       const py::object &Tokens, const py::object &OnTokens) {
  Array<int32_t> I(Ids), Out(Tokens, true);
  Array<float> K(Mask);
  int64_t Batch = I.dim(0), Count = Out.dim(1);
  GenerationOptions Wanted;
  Wanted.NewTokens = Count;
  Wanted.Sampling = Options;
  Wanted.OnTokens = [&](int64_t, const int32_t *Next) {
    py::gil_scoped_acquire Held;
    if (PyErr_CheckSignals() != 0)
      return false;
    if (OnTokens.is_none())
      return true;
    py::tuple Row(Batch);
    for (int64_t B = 0; B < Batch; ++B)
      Row[size_t(B)] = Next[B];
    // No exception may pass through the runtime: it is raised afterwards.
    PyObject *Answer = PyObject_CallOneArg(OnTokens.ptr(), Row.ptr());
    bool GoOn = Answer && Answer != Py_False;
    Py_XDECREF(Answer);
    return GoOn;
  };
  if (Status Valid = checkSampling(Options); !Valid)
    throw py::value_error(Valid.message());
  Result<Generated> Made = [&] {
    py::gil_scoped_release Release;
    return generate(*M.Held, I.data(), Batch, I.dim(1), K.data(), Wanted);
  }();
  if (PyErr_Occurred())
    throw py::error_already_set();
  Generated Done = runOrThrow(std::move(Made));
  for (int64_t Row = 0; Row < Batch; ++Row)
    std::copy_n(Done.Tokens.begin() + Row * Done.Steps, Done.Steps,
                Out.data() + Row * Count);
  return Done.Steps;
}

void bindPackage(py::module_ &Module) {
  py::class_<Package>(Module, "Package")
      .def(py::init([](const std::string &Path) {
             return valueOrThrow(Package::load(Path));
           }),
           py::arg("path"))
      .def_property_readonly("path", &Package::sourceName)
      .def_property_readonly("producer", &Package::producer)
      .def_property_readonly("config_text", &Package::configText)
      .def_property_readonly("max_batch", &Package::maxBatch)
      .def_property_readonly("max_seq_len", &Package::maxSeqLen)
      .def_property_readonly(
          "vocab_size", [](const Package &P) { return P.config().VocabSize; })
      .def_property_readonly(
          "num_labels",
          [](const Package &P) {
            return P.config().SequenceClassification ? P.config().NumLabels : 0;
          },
          "classes of a sequence classifier, 0 for a language model")
      .def_property_readonly("entries",
                             [](const Package &P) {
                               std::vector<std::string> Names;
                               for (const PackageEntry &Entry : P.entries())
                                 Names.push_back(Entry.Name);
                               return Names;
                             })
      .def_property_readonly("targets", [](const Package &P) {
        std::vector<std::string> Names;
        for (const PackageCode &Code : P.code())
          Names.push_back(Code.Target);
        return Names;
      });
}

void bindCache(py::module_ &Module) {
  py::class_<Cache>(Module, "Cache")
      .def_property_readonly("batch", &Cache::batch)
      .def_property_readonly("capacity", &Cache::capacity)
      .def_property_readonly("length", &Cache::length)
      .def("reset", &Cache::reset)
      .def("clone", [](const Cache &C) { return runOrThrow(C.clone()); })
      .def("state_names", &Cache::stateNames)
      .def("state_shape",
           [](const Cache &C, const std::string &Name) {
             return shapeOf(valueOrThrow(C.state(Name)));
           })
      .def("copy_state",
           [](const Cache &C, const std::string &Name, const py::object &Into) {
             copyTensor(valueOrThrow(C.state(Name)), Into);
           });
}

void bindSettings(py::module_ &Module) {
  py::class_<Hyperparameters>(Module, "Hyperparameters")
      .def(py::init([](double LearningRate, double Beta1, double Beta2,
                       double Eps, double WeightDecay, double MaxGradNorm,
                       bool KeepDecayNegative) {
        return Hyperparameters{
            LearningRate,     Beta1, Beta2, Eps, WeightDecay, MaxGradNorm,
            KeepDecayNegative};
      }));
  py::class_<SamplingOptions>(Module, "SamplingOptions")
      .def(py::init(
          [](double Temperature, int64_t TopK, double TopP, uint64_t Seed) {
            return SamplingOptions{Temperature, TopK, TopP, Seed};
          }));
  py::class_<TensorBuffer>(Module, "TensorBuffer", py::buffer_protocol())
      .def_buffer([](TensorBuffer &B) { return B.info(); });
}

void bindModel(py::module_ &Module) {
  py::class_<SharedModel>(Module, "Model")
      .def(py::init(&loadModel), py::arg("package"), py::arg("weights"),
           py::arg("device"), py::arg("seed"), py::arg("threads"))
      .def_property_readonly(
          "num_threads",
          [](const SharedModel &M) { return M.Held->numThreads(); })
      .def("forward", &forward)
      .def("gradients", &gradients)
      .def("train_step", &trainStep)
      .def("new_cache",
           [](SharedModel &M, int64_t Batch, int64_t Capacity) {
             return runOrThrow(M.Held->newCache(Batch, Capacity));
           })
      .def("prefill", &prefill)
      .def("decode", &decode)
      .def("generate", &generateTokens)
      .def("parameter_names",
           [](const SharedModel &M) { return M.Held->parameterNames(); })
      .def("parameter_shape",
           [](SharedModel &M, const std::string &Name) {
             for (const PackageParameter &P : M.Held->package().parameters())
               if (P.Name == Name)
                 return py::tuple(py::cast(P.Shape));
             throw py::value_error("the model has no parameter '" + Name + "'");
           })
      .def("copy_parameter",
           [](SharedModel &M, const std::string &Name, const py::object &Into) {
             copyTensor(valueOrThrow(M.Held->parameter(Name)), Into);
           })
      .def("copy_gradient",
           [](SharedModel &M, const std::string &Name, const py::object &Into) {
             copyTensor(valueOrThrow(M.Held->gradient(Name)), Into);
           })
      .def("share_parameter",
           [](SharedModel &M, const std::string &Name) {
             return bufferOf(M, M.Held->parameter(Name));
           })
      .def("share_gradient",
           [](SharedModel &M, const std::string &Name) {
             return bufferOf(M, M.Held->gradient(Name));
           })
      .def("set_parameter",
           [](SharedModel &M, const std::string &Name, const py::object &From) {
             Array<float> Values(From);
             Status Set =
                 M.Held->setParameter(Name, Values.data(), Values.size());
             if (!Set)
               throw py::value_error(Set.message());
           })
      .def("save",
           [](SharedModel &M, const std::string &Directory) {
             runOrThrow(M.Held->save(Directory));
           })
      .def("save_optimizer",
           [](SharedModel &M, const std::string &Path) {
             runOrThrow(M.Held->saveOptimizer(Path));
           })
      .def("load_optimizer",
           [](SharedModel &M, const std::string &Path) {
             Status Read = M.Held->loadOptimizer(Path);
             if (!Read)
               throw py::value_error(Read.message());
           })
      .def_property(
          "step", [](const SharedModel &M) { return M.Held->step(); },
          [](SharedModel &M, int64_t Step) { M.Held->setStep(Step); });
}

} // namespace

PYBIND11_MODULE(_runtime, Module) {
  Module.doc() = "the runtime behind the package transxssm; use that instead";
  bindPackage(Module);
  bindCache(Module);
  bindSettings(Module);
  bindModel(Module);
}
