#include "ops/cuda_table.h"

namespace oa {

// What shapes an op takes does not depend on where it runs.
OA_DECLARE_CPU_TABLE(scalar)

namespace cuda {

// A missing kernel is a missing definition of one of these: the build fails and names it.
#define OA_DECLARE_OP(code, name, operands, attributes) \
  int64_t scratch_##name(const Call&);                  \
  void run_##name(const Call&);
OA_FOR_EACH_OP(OA_DECLARE_OP)
#undef OA_DECLARE_OP

namespace {

struct Table {
  OpFunctions entries[kOpTableSize] = {};
};

Table make_table() {
  Table table;
#define OA_TABLE_ENTRY(code, name, operands, attributes) \
  table.entries[code] = {scalar::cpu_table()[code].check, scratch_##name, run_##name};
  OA_FOR_EACH_OP(OA_TABLE_ENTRY)
#undef OA_TABLE_ENTRY
  return table;
}

}  // namespace

const OpFunctions* cuda_table() {
  static const Table table = make_table();
  return table.entries;
}

}  // namespace cuda
}  // namespace oa
