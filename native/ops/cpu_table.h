// What one instruction set's translation units offer to the rest: a table of ops and the packing of weights.
// Included by code compiled per instruction set, so no std templates here.
#pragma once

#include <cstdint>

#include "ops/call.h"
#include "ops/opcodes.h"

namespace oa {

namespace detail {
#define OA_OPCODE_MAX(code, name, operands, attributes) \
  if (code > last) last = code;
constexpr uint32_t last_opcode() {
  uint32_t last = 0;
  OA_FOR_EACH_OP(OA_OPCODE_MAX)
  return last;
}
#undef OA_OPCODE_MAX
}  // namespace detail

// Tables are indexed by opcode, so entry 0 (no op) and any gap hold null functions.
constexpr uint32_t kOpTableSize = detail::last_opcode() + 1;

// Panels of a matrix B[K, N] as the gemm of one instruction set reads them (see cpu/gemm/gemm.h).
struct PackFunctions {
  // Floats that the packed matrix takes.
  int64_t (*packed_floats)(int64_t n, int64_t k);
  // Packs B[k][n] = source[n * stride_n + k * stride_k] into 64-byte aligned `packed`; `pool` may be null.
  void (*pack)(ThreadPool* pool, float* packed, const float* source, int64_t n, int64_t k, int64_t stride_n,
               int64_t stride_k);
};

// Every instruction set defines these in its namespace (cpu_table.cc, cpu/roof.cc).
#define OA_DECLARE_CPU_TABLE(isa)                              \
  namespace isa {                                              \
  const OpFunctions* cpu_table();                              \
  const PackFunctions& pack_functions();                       \
  int64_t run_multiply_adds(ThreadPool& pool, int64_t rounds); \
  }

#ifdef OA_ISA
OA_DECLARE_CPU_TABLE(OA_ISA)
#endif

}  // namespace oa
