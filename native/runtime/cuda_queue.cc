#include "runtime/cuda_queue.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cuda/check.h"

namespace oa {
namespace {

using cuda::check;

constexpr int64_t kLeastTokens = 64;
constexpr int64_t kLeastSequences = 8;
constexpr size_t kMostGraphs = 256;

size_t align(size_t bytes) { return (bytes + 255) / 256 * 256; }

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "making an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "timing a step"); }
  double milliseconds_since(const Event& start) const {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "timing a step");
    return static_cast<double>(milliseconds);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// Memory of the device that is measured with.
class Scrap {
 public:
  explicit Scrap(size_t bytes) { check(cudaMalloc(&data_, bytes), "measuring products"); }
  ~Scrap() { cudaFree(data_); }
  Scrap(const Scrap&) = delete;
  Scrap& operator=(const Scrap&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

// Elements behind the batch's own are set to what belongs to no sequence.
template <class T>
void copy_padded(char* target, const void* source, int64_t count, int64_t padded, T filler) {
  T* const values = reinterpret_cast<T*>(target);
  if (source && count > 0) std::memcpy(values, source, sizeof(T) * static_cast<size_t>(count));
  std::fill(values + (source ? count : 0), values + padded, filler);
}

}  // namespace

int64_t bucket_size(int64_t size, int64_t least, int64_t capacity) {
  if (size <= least) return std::min(std::max(size, least), capacity);
  const auto step = std::max<int64_t>(1, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(size))) / 8);
  return std::min((size + step - 1) / step * step, capacity);
}

CudaQueue::CudaQueue(int device, cuda::Precision precision, bool narrow, const Program& program)
    : stream_(device, precision), narrow_(narrow), tokens_(program.tokens), sequences_(program.sequences) {
  for (const Buffer& buffer : program.buffers) {
    if (buffer.storage == Storage::input && buffer.offset == static_cast<uint64_t>(Input::labels)) labels_ = &buffer;
  }
  const auto words = [](int64_t count) { return align(4 * static_cast<size_t>(count)); };
  offsets_.ids = align(sizeof(StepScalars));
  offsets_.types = offsets_.ids + words(tokens_);
  offsets_.cu = offsets_.types + words(tokens_);
  offsets_.labels = offsets_.cu + words(sequences_ + 1);
  offsets_.end = offsets_.labels + words(label_elements(tokens_, sequences_));
  check(cudaMallocHost(reinterpret_cast<void**>(&host_), offsets_.end), "allocating room for batches");
  const cudaError_t status = cudaMalloc(reinterpret_cast<void**>(&device_), offsets_.end);
  if (status != cudaSuccess) cudaFreeHost(host_);
  check(status, "allocating room for batches");
}

CudaQueue::~CudaQueue() {
  drop_graphs();
  cudaStreamSynchronize(stream_.handle());  // a copy may be under way, where an error came between
  cudaFree(device_);
  cudaFreeHost(host_);
}

void CudaQueue::drop_graphs() {
  for (const auto& [key, graph] : graphs_) cudaGraphExecDestroy(graph);
  graphs_.clear();
}

int64_t CudaQueue::label_elements(int64_t tokens, int64_t sequences) const {
  return labels_ ? labels_->elements(tokens, sequences) : 0;
}

void CudaQueue::attach(Call& call) const {
  call.stream = &stream_;
  call.scalars = reinterpret_cast<const StepScalars*>(device_);
}

StagedStep CudaQueue::stage(const Batch& batch, const StepScalars& scalars) {
  const int64_t tokens = bucket_size(batch.tokens(), kLeastTokens, tokens_);
  const int64_t sequences = bucket_size(batch.sequences(), kLeastSequences, sequences_);
  stream_.wait();  // for the copy of a step that never ran
  std::memcpy(host_, &scalars, sizeof scalars);
  copy_padded<int32_t>(host_ + offsets_.ids, batch.ids, batch.tokens(), tokens, 0);
  copy_padded<int32_t>(host_ + offsets_.types, batch.types, batch.tokens(), tokens, 0);
  copy_padded<int32_t>(host_ + offsets_.cu, batch.cu, batch.cu_count, sequences + 1, batch.cu[batch.sequences()]);
  if (labels_) {
    const int64_t padded = label_elements(tokens, sequences);
    if (labels_->dtype == DType::i32)
      copy_padded<int32_t>(host_ + offsets_.labels, batch.labels, batch.labels_count, padded, kIgnoredLabel);
    else
      copy_padded<float>(host_ + offsets_.labels, batch.labels, batch.labels_count, padded, 0);
  }
  stream_.upload(device_, host_, offsets_.end);
  step_ = {{device_ + offsets_.ids, device_ + offsets_.types, device_ + offsets_.cu, device_ + offsets_.labels},
           tokens,
           sequences};
  return step_;
}

cudaGraphExec_t CudaQueue::capture(const BoundOps& ops) {
  check(cudaStreamBeginCapture(stream_.handle(), cudaStreamCaptureModeThreadLocal), "capturing a step");
  cudaGraph_t graph = nullptr;
  try {
    for (size_t i = 0; i < ops.calls.size(); ++i) ops.functions[i]->run(ops.calls[i]);
  } catch (...) {
    if (cudaStreamEndCapture(stream_.handle(), &graph) == cudaSuccess && graph) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream_.handle(), &graph), "capturing a step");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "preparing a captured step");
  return executable;
}

void CudaQueue::run(const BoundOps& ops) {
  if (!ops.replayable) {
    for (size_t i = 0; i < ops.calls.size(); ++i) ops.functions[i]->run(ops.calls[i]);
    return stream_.wait();
  }
  if (graphs_.size() >= kMostGraphs) drop_graphs();
  cudaGraphExec_t& graph = graphs_[{ops.calls.data(), ops.calls.size(), step_.tokens, step_.sequences}];
  if (!graph) graph = capture(ops);
  check(cudaGraphLaunch(graph, stream_.handle()), "starting a step");
  stream_.wait();
}

void CudaQueue::run_timed(const BoundOps& ops, std::span<double> milliseconds) {
  std::vector<Event> events(ops.calls.size() + 1);
  events[0].record(stream_.handle());
  for (size_t i = 0; i < ops.calls.size(); ++i) {
    ops.functions[i]->run(ops.calls[i]);
    events[i + 1].record(stream_.handle());
  }
  stream_.wait();
  for (size_t i = 0; i < ops.calls.size(); ++i) milliseconds[i] = events[i + 1].milliseconds_since(events[i]);
}

// The matrix behind so many elements of memory, in the type of a step's products.
cuda::Typed<void*> CudaQueue::operand(void* memory, int64_t elements) const {
  if (narrow_) return reinterpret_cast<cuda::Bf16*>(static_cast<uint16_t*>(memory) + elements);
  return static_cast<float*>(memory) + elements;
}

// Square products of growing size, until one takes long against its launch.
double CudaQueue::measure_roof(double milliseconds) {
  constexpr int64_t kLargest = 8192;
  constexpr double kWindow = 1;  // ms
  double best = 0, spent = 0;
  for (int64_t size = 512; best == 0 || spent < milliseconds;) {
    const size_t bytes = sizeof(float) * static_cast<size_t>(size * size);
    void* memory = nullptr;
    check(cudaMalloc(&memory, 3 * bytes), "measuring products");
    cuda::Product product;
    product.a = operand(memory, 0);
    product.b = operand(memory, size * size);
    product.c = operand(memory, 2 * size * size);
    product.rows = product.columns = product.depth = size;
    product.transpose_b = true;
    Event start, end;
    stream_.fill(memory, 0x3d, 3 * bytes);  // 0.046 in either type: products of zeros run faster than real ones
    start.record(stream_.handle());
    stream_.multiply(product);
    end.record(stream_.handle());
    stream_.wait();
    cudaFree(memory);
    const double taken = std::max(end.milliseconds_since(start), 1e-6);
    spent += taken;
    if (taken < kWindow && size < kLargest)
      size *= 2;
    else
      best = std::max(best, 2.0 * static_cast<double>(size * size * size) / taken * 1e3);
  }
  return best;
}

// Back to back in windows that are long against their launches.
double CudaQueue::measure_product(const ProductShape& shape, double milliseconds) {
  constexpr double kWindow = 2;  // ms
  constexpr int kMost = 4096;
  const auto [rows, columns, depth, transpose_a, transpose_b] = shape;
  const auto floats = static_cast<size_t>(rows * depth + depth * columns + rows * columns);
  const Scrap memory(sizeof(float) * floats);
  cuda::Product product;
  product.a = operand(memory.data(), 0);
  product.b = operand(memory.data(), rows * depth);
  product.c = operand(memory.data(), rows * depth + depth * columns);
  product.rows = rows;
  product.columns = columns;
  product.depth = depth;
  product.transpose_a = transpose_a;
  product.transpose_b = transpose_b;
  stream_.fill(memory.data(), 0x3d, sizeof(float) * floats);  // as above
  double best = 0, spent = 0;
  for (int count = 1; best == 0 || spent < milliseconds;) {
    Event start, end;
    start.record(stream_.handle());
    for (int i = 0; i < count; ++i) stream_.multiply(product);
    end.record(stream_.handle());
    stream_.wait();
    const double taken = std::max(end.milliseconds_since(start), 1e-6);
    spent += taken;
    if (taken < kWindow && count < kMost && spent < milliseconds)
      count *= 2;
    else
      best = std::max(best, 2e3 * static_cast<double>(rows * columns * depth) * count / taken);
  }
  return best;
}

}  // namespace oa
