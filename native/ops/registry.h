// The native list of ops, and the CPU backends compiled into this binary. Everything here is constant after the
// first call and safe to use from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ops/call.h"
#include "ops/cpu_table.h"

namespace oa {

struct OperandInfo {
  std::string_view name;
  bool output = false;
  bool optional = false;
  bool integer = false;  // i32; otherwise f32, or what `narrow` and `any` allow: see opcodes.h
  bool narrow = false;
  bool any = false;
};

enum class AttributeKind { f32, i32, u32 };

struct AttributeInfo {
  std::string_view name;
  AttributeKind kind = AttributeKind::i32;
};

// One line of opcodes.h: as written (what lib/ops is compared with) and parsed.
struct OpInfo {
  uint32_t code = 0;
  std::string_view name;
  std::string_view operands;              // "y derivative? <- x w b?"
  std::string_view attributes;            // "activation:i32"
  std::vector<OperandInfo> operand_list;  // outputs first, in the order of an op call
  std::vector<AttributeInfo> attribute_list;
  int outputs = 0;  // how many of operand_list are outputs
};

// All ops in the order of opcodes.h.
std::span<const OpInfo> op_infos();

// The op with this code, or null.
const OpInfo* find_op(uint32_t code);

// Kernels of one instruction set.
struct CpuBackend {
  std::string_view isa;                // "avx512", "avx2", "neon", "scalar"
  const OpFunctions* table = nullptr;  // [kOpTableSize], indexed by opcode

  // Weights are packed from f32: the caller widens half floats and puts transposed parts in order first. W[N, K] row
  // major gives `packed` panels with (n = N, k = K, stride_n = K, stride_k = 1) and `packed_transposed` panels with
  // (n = K, k = N, stride_n = 1, stride_k = K).
  PackFunctions weights{};

  // Keeps every thread of the pool at multiply-adds; returns their floating-point operations (cpu/roof.h).
  int64_t (*run_multiply_adds)(ThreadPool& pool, int64_t rounds) = nullptr;

  int64_t packed_floats(int64_t n, int64_t k) const { return weights.packed_floats(n, k); }
  void pack(ThreadPool* pool, float* packed, const float* source, int64_t n, int64_t k, int64_t stride_n,
            int64_t stride_k) const {
    weights.pack(pool, packed, source, n, k, stride_n, stride_k);
  }
};

// Backends in this binary, best first, whether or not this CPU can run them.
std::span<const CpuBackend> compiled_backends();

// Names of compiled_backends().
std::span<const std::string_view> compiled_isas();

// Those of compiled_isas() that this CPU can run, best first; never empty ("scalar" runs everywhere).
std::span<const std::string_view> usable_isas();

// The first of usable_isas().
std::string_view best_isa();

// The backend of that name, or null when it is not compiled in or this CPU lacks the instructions.
const CpuBackend* cpu_backend(std::string_view isa);

}  // namespace oa
