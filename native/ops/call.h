// One op call as the executor hands it to a kernel: operands bound to this step's T and B, attributes, scratch.
#pragma once

#include <cstdint>

#include "base/dtype.h"
#include "base/step.h"
#include "base/thread_pool.h"

namespace oa {

namespace cuda {
class Stream;
}

// Shared by files that are compiled for different instruction sets: an out-of-line copy of one of these functions could
// come from the AVX-512 build and run on every machine, so there must never be one.
#define OA_ALWAYS_INLINE [[gnu::always_inline]] inline

// What an op's kernels for CPUs and for GPUs both call.
#ifdef __CUDACC__
#define OA_HOST_DEVICE __host__ __device__
#else
#define OA_HOST_DEVICE
#endif

// Storage kinds of a program's buffers; the same numbers in lib/plan/encode.ts.
enum class Storage : uint32_t {
  input = 0,
  frozen = 1,
  parameter = 2,
  gradient = 3,
  moment1 = 4,
  moment2 = 5,
  activation = 6,
  task = 7,    // a frozen weight of the task that a row belongs to: see runtime/task_groups.h
  working = 8  // the parameters in bf16
};

// How a frozen weight is held. `packed`: panels of W for y = x Wᵀ; `packed_transposed`: panels for dx = dy W.
enum class Form : uint32_t { raw = 0, packed = 1, packed_transposed = 2 };

struct Operand {
  void* data = nullptr;  // null: optional operand that is absent
  int64_t shape[3] = {0, 0, 0};
  int32_t rank = 0;
  Storage storage = Storage::activation;
  Form form = Form::raw;
  DType dtype = DType::f32;

  OA_ALWAYS_INLINE explicit operator bool() const { return data != nullptr; }
  OA_ALWAYS_INLINE float* f32() const { return static_cast<float*>(data); }
  OA_ALWAYS_INLINE int32_t* i32() const { return static_cast<int32_t*>(data); }
  OA_ALWAYS_INLINE int64_t size() const {
    int64_t n = 1;
    for (int32_t i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
};

struct Call {
  const Operand* operands = nullptr;     // outputs first, then inputs, in the order of opcodes.h
  const uint32_t* attributes = nullptr;  // one word each, in the order of opcodes.h
  const StepScalars* scalars = nullptr;  // on a GPU in its memory, for kernels alone
  ThreadPool* pool = nullptr;            // of a CPU
  cuda::Stream* stream = nullptr;        // of a GPU
  char* scratch = nullptr;               // 64-byte aligned, scratch_<op>(capacity call) bytes; content undefined

  OA_ALWAYS_INLINE const Operand& operator[](int i) const { return operands[i]; }
  OA_ALWAYS_INLINE float attribute_f32(int i) const {
    float value;
    __builtin_memcpy(&value, attributes + i, sizeof value);
    return value;
  }
  OA_ALWAYS_INLINE int32_t attribute_i32(int i) const { return static_cast<int32_t>(attributes[i]); }
  OA_ALWAYS_INLINE uint32_t attribute_u32(int i) const { return attributes[i]; }
};

// Every op has three functions per instruction set, in namespace oa::<isa>:
//   const char* check_<op>(const Call&)    null, or what is wrong with the operands' shapes (at create, at capacity)
//   int64_t     scratch_<op>(const Call&)  bytes needed; non-decreasing in T and B, may depend on pool->threads()
//   void        run_<op>(const Call&)      allocates nothing, throws nothing
// A GPU has the last two, in oa::cuda: run_<op> puts kernels on call.stream and returns; it may throw ERR_DEVICE. There
// a step is bound to shapes rounded up to a bucket of T and B (runtime/cuda_queue.h). Rows behind the batch's own are
// no sequence's: ids 0, types 0, labels -100 or 0, and cu stays at the real T. Ops write them whole and finite in a
// forward pass and as 0 in a gradient; divisors come from scalars->sequences, or count what counts.
struct OpFunctions {
  const char* (*check)(const Call&);
  int64_t (*scratch)(const Call&);
  void (*run)(const Call&);
};

}  // namespace oa
