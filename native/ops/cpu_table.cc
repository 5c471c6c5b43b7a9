#include "ops/cpu_table.h"

#include "cpu/gemm/gemm.h"

namespace oa::OA_ISA {

// A missing kernel is a missing definition of one of these: the build fails and names it.
#define OA_DECLARE_OP(code, name, operands, attributes) \
  const char* check_##name(const Call&);                \
  int64_t scratch_##name(const Call&);                  \
  void run_##name(const Call&);
OA_FOR_EACH_OP(OA_DECLARE_OP)
#undef OA_DECLARE_OP

namespace {

struct Table {
  OpFunctions entries[kOpTableSize] = {};
};

constexpr Table make_table() {
  Table table;
#define OA_TABLE_ENTRY(code, name, operands, attributes) \
  table.entries[code] = {check_##name, scratch_##name, run_##name};
  OA_FOR_EACH_OP(OA_TABLE_ENTRY)
#undef OA_TABLE_ENTRY
  return table;
}

constexpr Table kTable = make_table();
constexpr PackFunctions kPackFunctions = {packed_floats, pack};

}  // namespace

const OpFunctions* cpu_table() { return kTable.entries; }

const PackFunctions& pack_functions() { return kPackFunctions; }

}  // namespace oa::OA_ISA
