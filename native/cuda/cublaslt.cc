#include "cuda/cublaslt.h"

#include <dlfcn.h>

#include <algorithm>
#include <compare>
#include <cstdlib>

#include "base/error.h"

namespace oa::cuda {
namespace {

constexpr int kMajor = CUDART_VERSION / 1000;

#ifdef OA_CUDA_STANDIN
void* open_library(const char* name) { return standin::open_library(name); }
void* find_symbol(void* library, const char* name) { return standin::find_symbol(library, name); }
#else
void* open_library(const char* name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }
void* find_symbol(void* library, const char* name) { return dlsym(library, name); }
#endif

std::string missing(const std::string& tried) {
  return "cuBLASLt " + std::to_string(kMajor) + " was not found (tried " + tried +
         "): it comes with the CUDA toolkit; put its folder into LD_LIBRARY_PATH or name the file in "
         "ONNX_ADAPTERS_CUBLASLT";
}

CublasLtLibrary open() {
  CublasLtLibrary library;
  const char* const named = std::getenv("ONNX_ADAPTERS_CUBLASLT");
  const std::string file = named ? named : "libcublasLt.so." + std::to_string(kMajor);
  void* const handle = open_library(file.c_str());
  if (!handle) {
    library.problem = missing(file);
    return library;
  }
  const char* absent = nullptr;
#define OA_CUBLASLT_FIND(member, symbol, type, parameters)                                       \
  library.functions.member = reinterpret_cast<type(*) parameters>(find_symbol(handle, #symbol)); \
  if (!library.functions.member) absent = #symbol;
  OA_FOR_EACH_CUBLASLT(OA_CUBLASLT_FIND)
#undef OA_CUBLASLT_FIND
  if (absent) {
    library.problem = file + " has no " + absent + ": it is no cuBLASLt " + std::to_string(kMajor);
    return library;
  }
  // 130100 is 13.1.0; before 12 it was 110603.
  const size_t major = library.functions.version() / 10000;
  if (major != static_cast<size_t>(kMajor)) {
    library.problem = file + " is cuBLASLt " + std::to_string(major) + ", but the addon was built with CUDA " +
                      std::to_string(kMajor) + ": install that version beside it, or build the addon again";
  }
  return library;
}

void require(BlasStatus status, const std::string& what) {
  if (status == kBlasSuccess) return;
  throw Error("ERR_DEVICE", "cuBLASLt refused " + what + " (status " + std::to_string(status) + ")",
              {{"cublas", std::to_string(status)}});
}

// The largest power of two, up to 256, that divides the address.
uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  return static_cast<uint32_t>(std::min<uintptr_t>(256, address & (~address + 1)));
}

std::string describe(const Product& p) {
  return "a product [" + std::to_string(p.rows) + ", " + std::to_string(p.depth) + "] x [" + std::to_string(p.depth) +
         ", " + std::to_string(p.columns) + "]" + (p.transpose_a ? ", first transposed" : "") +
         (p.transpose_b ? ", second transposed" : "") + (p.a.type == BlasType::bf16 ? ", of bf16" : "") +
         (p.b.type != p.a.type ? " and another type" : "");
}

}  // namespace

const CublasLtLibrary& cublaslt() {
  static const CublasLtLibrary library = open();
  return library;
}

std::string cublaslt_version() {
  if (!cublaslt().problem.empty()) return "";
  const size_t version = cublaslt().functions.version();  // 130100
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

struct Multiplier::Shape {
  int64_t rows, columns, depth;
  bool transpose_a, transpose_b;
  uint32_t alignment_a, alignment_b, alignment_c;
  BlasType type_a, type_b, type_c;
  auto operator<=>(const Shape&) const = default;
};

// The library is column major: it computes cᵀ = bᵀ·aᵀ, so its first operand is our b.
struct Multiplier::Plan {
  Plan(const CublasLt& blas, BlasHandle handle, Precision precision, size_t workspace_bytes, const Product& p,
       const Shape& shape)
      : blas_(blas) {
    const std::string what = describe(p);
    const bool rounds = precision == Precision::tf32 && p.a.type == BlasType::f32;
    const auto compute = rounds ? BlasCompute::tf32 : BlasCompute::f32;
    require(blas.create_desc(&desc, compute, BlasType::f32), what);
    const auto first = p.transpose_b ? BlasTranspose::yes : BlasTranspose::no;
    const auto second = p.transpose_a ? BlasTranspose::yes : BlasTranspose::no;
    require(blas.set_desc(desc, BlasDescAttribute::transpose_a, &first, sizeof first), what);
    require(blas.set_desc(desc, BlasDescAttribute::transpose_b, &second, sizeof second), what);
    create_layout(&layout_b, p.b.type, p.transpose_b ? p.depth : p.columns, p.transpose_b ? p.columns : p.depth, what);
    create_layout(&layout_a, p.a.type, p.transpose_a ? p.rows : p.depth, p.transpose_a ? p.depth : p.rows, what);
    create_layout(&layout_c, p.c.type, p.columns, p.rows, what);
    choose(handle, workspace_bytes, shape, what);
  }
  ~Plan() {
    if (desc) blas_.destroy_desc(desc);
    for (BlasLayout layout : {layout_a, layout_b, layout_c}) {
      if (layout) blas_.destroy_layout(layout);
    }
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // Dense columns: the leading dimension is the number of rows.
  void create_layout(BlasLayout* layout, BlasType type, int64_t rows, int64_t columns, const std::string& what) const {
    require(blas_.create_layout(layout, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), rows), what);
  }

  void choose(BlasHandle handle, size_t workspace_bytes, const Shape& shape, const std::string& what) {
    BlasPreference preference = nullptr;
    require(blas_.create_preference(&preference), what);
    const auto set = [&](BlasPreferenceAttribute attribute, const auto& value) {
      require(blas_.set_preference(preference, attribute, &value, sizeof value), what);
    };
    set(BlasPreferenceAttribute::workspace_bytes, workspace_bytes);
    set(BlasPreferenceAttribute::reduction_schemes, kBlasReductions);
    set(BlasPreferenceAttribute::alignment_a, shape.alignment_b);
    set(BlasPreferenceAttribute::alignment_b, shape.alignment_a);
    set(BlasPreferenceAttribute::alignment_c, shape.alignment_c);
    set(BlasPreferenceAttribute::alignment_d, shape.alignment_c);
    BlasHeuristic best{};
    int found = 0;
    const BlasStatus status =
        blas_.choose(handle, desc, layout_b, layout_a, layout_c, layout_c, preference, 1, &best, &found);
    blas_.destroy_preference(preference);
    require(status == kBlasSuccess && found == 0 ? kBlasNotSupported : status, what);
    algorithm = best.algorithm;
  }

  const CublasLt& blas_;
  BlasDesc desc = nullptr;
  BlasLayout layout_a = nullptr, layout_b = nullptr, layout_c = nullptr;
  BlasAlgorithm algorithm{};
};

Multiplier::Multiplier(Precision precision, void* workspace, size_t workspace_bytes)
    : blas_(cublaslt().functions), precision_(precision), workspace_(workspace), workspace_bytes_(workspace_bytes) {
  if (!cublaslt().problem.empty()) throw Error("ERR_DEVICE", cublaslt().problem);
  require(blas_.create(&handle_), "to start");
}

Multiplier::~Multiplier() {
  plans_.clear();
  if (handle_) blas_.destroy(handle_);
}

const Multiplier::Plan& Multiplier::plan_for(const Product& p) {
  const Shape shape{p.rows,
                    p.columns,
                    p.depth,
                    p.transpose_a,
                    p.transpose_b,
                    alignment_of(p.a.data),
                    alignment_of(p.b.data),
                    alignment_of(p.c.data),
                    p.a.type,
                    p.b.type,
                    p.c.type};
  auto& plan = plans_[shape];
  if (!plan) plan = std::make_unique<Plan>(blas_, handle_, precision_, workspace_bytes_, p, shape);
  return *plan;
}

void Multiplier::multiply(cudaStream_t stream, const Product& p) {
  if (p.rows == 0 || p.columns == 0) return;
  const Plan& plan = plan_for(p);
  const float one = 1, beta = p.accumulate ? 1 : 0;
  require(blas_.multiply(handle_, plan.desc, &one, p.b.data, plan.layout_b, p.a.data, plan.layout_a, &beta, p.c.data,
                         plan.layout_c, p.c.data, plan.layout_c, &plan.algorithm, workspace_, workspace_bytes_, stream),
          describe(p));
}

}  // namespace oa::cuda
