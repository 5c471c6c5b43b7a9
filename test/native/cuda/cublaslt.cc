// In the place of cuBLASLt: plain products on the CPU that refuse what the real library refuses, by its status numbers.
#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "cuda/cublaslt_api.h"
#include "cuda_runtime.h"

namespace oa::cuda {

struct BlasHandleBody {};
struct BlasDescBody {
  BlasCompute compute;
  BlasType scale;
  BlasTranspose transpose_a = BlasTranspose::no;
  BlasTranspose transpose_b = BlasTranspose::no;
};
struct BlasLayoutBody {
  BlasType type;
  int64_t rows, columns, leading;
};
struct BlasPreferenceBody {
  size_t workspace_bytes = 0;
  uint32_t reductions = ~0u;
  uint32_t alignment[4] = {256, 256, 256, 256};  // of a, b, c, d; what the library assumes unless told
};

namespace {

constexpr BlasStatus kInvalid = 7;
constexpr size_t kSplitWorkspace = 1 << 20;  // what this library's algorithm wants

// What the algorithm words carry from the choice to the product: the real one is as unforgiving about a mix-up.
struct Chosen {
  uint64_t magic, rows, columns, depth, transposes;
  uint32_t alignment[4];
  uint64_t workspace_bytes;
};
static_assert(sizeof(Chosen) <= sizeof(BlasAlgorithm));
constexpr uint64_t kMagic = 0x6c746761;

struct Sizes {
  int64_t rows, columns, depth;
};

// The sizes of d = op(a)·op(b), or nothing where the layouts do not fit together.
bool sizes_of(const BlasDescBody& desc, const BlasLayoutBody& a, const BlasLayoutBody& b, const BlasLayoutBody& d,
              Sizes& sizes) {
  const bool ta = desc.transpose_a == BlasTranspose::yes, tb = desc.transpose_b == BlasTranspose::yes;
  sizes = {ta ? a.columns : a.rows, tb ? b.rows : b.columns, ta ? a.rows : a.columns};
  const int64_t depth = tb ? b.columns : b.rows;
  return depth == sizes.depth && d.rows == sizes.rows && d.columns == sizes.columns && a.leading >= a.rows &&
         b.leading >= b.rows && d.leading >= d.rows && sizes.rows > 0 && sizes.columns > 0 && sizes.depth > 0;
}

uint64_t transposes(const BlasDescBody& desc) {
  return static_cast<uint64_t>(desc.transpose_a) * 2 + static_cast<uint64_t>(desc.transpose_b);
}

bool is_aligned(const void* pointer, uint32_t bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

size_t version() { return standin::machine_has("old-cublaslt") ? 120805 : 130100; }

BlasStatus create(BlasHandle* handle) {
  *handle = new BlasHandleBody;
  return kBlasSuccess;
}
BlasStatus destroy(BlasHandle handle) {
  delete handle;
  return kBlasSuccess;
}
BlasStatus create_desc(BlasDesc* desc, BlasCompute compute, BlasType scale) {
  *desc = new BlasDescBody{compute, scale};
  return kBlasSuccess;
}
BlasStatus destroy_desc(BlasDesc desc) {
  delete desc;
  return kBlasSuccess;
}
BlasStatus set_desc(BlasDesc desc, BlasDescAttribute attribute, const void* value, size_t bytes) {
  if (bytes != sizeof(BlasTranspose)) return kInvalid;
  BlasTranspose& target = attribute == BlasDescAttribute::transpose_a ? desc->transpose_a : desc->transpose_b;
  std::memcpy(&target, value, bytes);
  return target == BlasTranspose::no || target == BlasTranspose::yes ? kBlasSuccess : kInvalid;
}
BlasStatus create_layout(BlasLayout* layout, BlasType type, uint64_t rows, uint64_t columns, int64_t leading) {
  *layout = new BlasLayoutBody{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), leading};
  return kBlasSuccess;
}
BlasStatus destroy_layout(BlasLayout layout) {
  delete layout;
  return kBlasSuccess;
}
BlasStatus create_preference(BlasPreference* preference) {
  *preference = new BlasPreferenceBody;
  return kBlasSuccess;
}
BlasStatus destroy_preference(BlasPreference preference) {
  delete preference;
  return kBlasSuccess;
}
BlasStatus set_preference(BlasPreference preference, BlasPreferenceAttribute attribute, const void* value,
                          size_t bytes) {
  const auto number = static_cast<int>(attribute);
  const auto take = [&](auto& target) {
    if (bytes != sizeof target) return kInvalid;
    std::memcpy(&target, value, bytes);
    return kBlasSuccess;
  };
  switch (attribute) {
    case BlasPreferenceAttribute::workspace_bytes: return take(preference->workspace_bytes);
    case BlasPreferenceAttribute::reduction_schemes: return take(preference->reductions);
    default: return take(preference->alignment[number - static_cast<int>(BlasPreferenceAttribute::alignment_a)]);
  }
}

int64_t element_bytes(BlasType type) { return type == BlasType::f32 ? 4 : 2; }

// The rows of the library's table of types that we know: operands of f32 give f32, with tf32 or without; those of bf16
// give bf16 or f32. It scales by f32.
bool has_types(const BlasDescBody& desc, BlasType operands, BlasType result) {
  if (desc.scale != BlasType::f32) return false;
  if (operands == BlasType::f32)
    return result == BlasType::f32 && (desc.compute == BlasCompute::f32 || desc.compute == BlasCompute::tf32);
  return operands == BlasType::bf16 && desc.compute == BlasCompute::f32;
}

BlasStatus choose(BlasHandle, BlasDesc desc, BlasLayout a, BlasLayout b, BlasLayout c, BlasLayout d,
                  BlasPreference preference, int wanted, BlasHeuristic* results, int* found) {
  *found = 0;
  Sizes sizes;
  if (wanted < 1 || !sizes_of(*desc, *a, *b, *d, sizes) || c->rows != d->rows || c->columns != d->columns ||
      c->type != d->type || a->type != b->type) {
    return kInvalid;
  }
  if (!has_types(*desc, a->type, d->type)) return kBlasNotSupported;
  const BlasType types[] = {a->type, b->type, c->type, d->type};
  for (int i = 0; i < 4; ++i) {
    if (preference->alignment[i] < element_bytes(types[i])) return kBlasNotSupported;
  }
  Chosen chosen{kMagic,
                static_cast<uint64_t>(sizes.rows),
                static_cast<uint64_t>(sizes.columns),
                static_cast<uint64_t>(sizes.depth),
                transposes(*desc),
                {},
                {}};
  std::copy(preference->alignment, preference->alignment + 4, chosen.alignment);
  chosen.workspace_bytes = std::min(preference->workspace_bytes, kSplitWorkspace);
  *results = {};
  std::memcpy(results->algorithm.data, &chosen, sizeof chosen);
  results->workspace_bytes = chosen.workspace_bytes;
  *found = 1;
  return kBlasSuccess;
}

// d = alpha·op(a)·op(b) + beta·c, column major.
struct Work {
  BlasDescBody desc;
  BlasLayoutBody a, b, c, d;
  Sizes sizes;
  float alpha, beta;
  const void *a_memory, *b_memory, *c_memory;
  void* d_memory;

  // An operand as f32: what is f32 already stays where it is.
  const float* read(std::vector<float>& room, const void* memory, const BlasLayoutBody& layout) const {
    if (layout.type == BlasType::f32 && desc.compute == BlasCompute::f32) return static_cast<const float*>(memory);
    room.resize(static_cast<size_t>(layout.leading * (layout.columns - 1) + layout.rows));
    for (size_t i = 0; i < room.size(); ++i) {
      room[i] = layout.type == BlasType::bf16 ? bf16_to_float(static_cast<const uint16_t*>(memory)[i])
                                              : to_tf32(static_cast<const float*>(memory)[i]);
    }
    return room.data();
  }

  static float to_tf32(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    return std::bit_cast<float>((bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu);
  }

  float result(const void* memory, int64_t at) const {
    if (d.type == BlasType::f32) return static_cast<const float*>(memory)[at];
    return bf16_to_float(static_cast<const uint16_t*>(memory)[at]);
  }

  void write(int64_t at, float value) const {
    if (d.type == BlasType::f32)
      static_cast<float*>(d_memory)[at] = value;
    else
      static_cast<uint16_t*>(d_memory)[at] = float_to_bf16(value);
  }

  void run() const {
    std::vector<float> a_room, b_room;
    const float* const a_data = read(a_room, a_memory, a);
    const float* const b_data = read(b_room, b_memory, b);
    const int64_t step_a = desc.transpose_a == BlasTranspose::yes ? a.leading : 1;
    const int64_t deep_a = desc.transpose_a == BlasTranspose::yes ? 1 : a.leading;
    const int64_t step_b = desc.transpose_b == BlasTranspose::yes ? 1 : b.leading;
    const int64_t deep_b = desc.transpose_b == BlasTranspose::yes ? b.leading : 1;
    std::vector<float> column(static_cast<size_t>(sizes.rows));
    for (int64_t n = 0; n < sizes.columns; ++n) {
      std::fill(column.begin(), column.end(), 0.0f);
      for (int64_t k = 0; k < sizes.depth; ++k) {
        const float factor = b_data[n * step_b + k * deep_b];
        const float* const from = a_data + k * deep_a;
        for (int64_t m = 0; m < sizes.rows; ++m) column[static_cast<size_t>(m)] += from[m * step_a] * factor;
      }
      for (int64_t m = 0; m < sizes.rows; ++m) {
        const float old = beta == 0.0f ? 0.0f : beta * result(c_memory, n * c.leading + m);
        write(n * d.leading + m, alpha * column[static_cast<size_t>(m)] + old);
      }
    }
  }
};

BlasStatus multiply(BlasHandle, BlasDesc desc, const void* alpha, const void* a, BlasLayout layout_a, const void* b,
                    BlasLayout layout_b, const void* beta, const void* c, BlasLayout layout_c, void* d,
                    BlasLayout layout_d, const BlasAlgorithm* algorithm, void* workspace, size_t workspace_bytes,
                    void* stream) {
  Sizes sizes;
  if (!a || !b || !c || !d || !sizes_of(*desc, *layout_a, *layout_b, *layout_d, sizes)) return kInvalid;
  Chosen chosen;
  std::memcpy(&chosen, algorithm->data, sizeof chosen);
  const Chosen expected{kMagic,
                        static_cast<uint64_t>(sizes.rows),
                        static_cast<uint64_t>(sizes.columns),
                        static_cast<uint64_t>(sizes.depth),
                        transposes(*desc),
                        {},
                        {}};
  if (std::memcmp(&chosen, &expected, offsetof(Chosen, alignment)) != 0) return kInvalid;
  const void* const pointers[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    if (!is_aligned(pointers[i], chosen.alignment[i])) return kInvalid;
  }
  if (workspace_bytes < chosen.workspace_bytes || !is_aligned(workspace, 16)) return kInvalid;
  if (!workspace && chosen.workspace_bytes > 0) return kInvalid;
  const Work work{*desc,
                  *layout_a,
                  *layout_b,
                  *layout_c,
                  *layout_d,
                  sizes,
                  *static_cast<const float*>(alpha),
                  *static_cast<const float*>(beta),
                  a,
                  b,
                  c,
                  d};
  standin::enqueue(static_cast<cudaStream_t>(stream), [work] { work.run(); });
  return kBlasSuccess;
}

}  // namespace
}  // namespace oa::cuda

void* standin::open_library(const char* name) {
  static int library;
  if (machine_has("no-cublaslt") || std::string_view(name).find("libcublasLt.so") == std::string_view::npos) {
    return nullptr;
  }
  return &library;
}

void* standin::find_symbol(void*, const char* name) {
  using namespace oa::cuda;
#define OA_STANDIN_SYMBOL(member, symbol, type, parameters) \
  if (std::string_view(name) == #symbol) {                  \
    type(*const function) parameters = &member;             \
    return reinterpret_cast<void*>(function);               \
  }
  OA_FOR_EACH_CUBLASLT(OA_STANDIN_SYMBOL)
#undef OA_STANDIN_SYMBOL
  return nullptr;
}
