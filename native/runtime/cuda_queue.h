// Steps on a stream of a GPU.
#pragma once

#include <cuda_runtime.h>

#include <map>
#include <tuple>

#include "cuda/stream.h"
#include "runtime/device.h"

namespace oa {

// A batch is copied to the device in one piece: scalars, ids, types, cu, labels. Shapes are rounded up to buckets, so
// that batches of similar size share a captured graph: replaying it costs one launch instead of hundreds.
class CudaQueue final : public Queue {
 public:
  // `narrow`: products of a step are of bf16, so those that are measured are too.
  CudaQueue(int device, cuda::Precision precision, bool narrow, const Program& program);
  ~CudaQueue() override;

  void attach(Call& call) const override;
  StagedStep stage(const Batch& batch, const StepScalars& scalars) override;
  void run(const BoundOps& ops) override;
  void run_timed(const BoundOps& ops, std::span<double> milliseconds) override;
  double measure_roof(double milliseconds) override;
  double measure_product(const ProductShape& shape, double milliseconds) override;

 private:
  using GraphKey = std::tuple<const Call*, size_t, int64_t, int64_t>;  // the ops, T, B

  cuda::Typed<void*> operand(void* memory, int64_t elements) const;
  int64_t label_elements(int64_t tokens, int64_t sequences) const;
  cudaGraphExec_t capture(const BoundOps& ops);
  void drop_graphs();

  mutable cuda::Stream stream_;
  bool narrow_;
  std::map<GraphKey, cudaGraphExec_t> graphs_;
  StagedStep step_;
  int64_t tokens_;  // capacity
  int64_t sequences_;
  const Buffer* labels_ = nullptr;  // as the program reads them
  struct Offsets {
    size_t ids = 0, types = 0, cu = 0, labels = 0, end = 0;  // bytes
  };
  Offsets offsets_;
  char* host_ = nullptr;  // page-locked
  char* device_ = nullptr;
};

// T or B of a batch rounded up: to multiples of an eighth of the next power of two, at least `least`, at most
// `capacity`.
int64_t bucket_size(int64_t size, int64_t least, int64_t capacity);

}  // namespace oa
