#include "ops/registry.h"

#include "base/cpu_features.h"

namespace oa {

#ifdef OA_HAVE_AVX512
OA_DECLARE_CPU_TABLE(avx512)
#endif
#ifdef OA_HAVE_AVX512_AS_AVX2
OA_DECLARE_CPU_TABLE(avx512_as_avx2)
#endif
#ifdef OA_HAVE_AVX2
OA_DECLARE_CPU_TABLE(avx2)
#endif
#ifdef OA_HAVE_NEON
OA_DECLARE_CPU_TABLE(neon)
#endif
OA_DECLARE_CPU_TABLE(scalar)

namespace {

// Cuts the next word off `text`; empty when there is none.
std::string_view next_word(std::string_view& text) {
  const size_t start = text.find_first_not_of(' ');
  if (start == std::string_view::npos) return {};
  const size_t end = text.find(' ', start);
  const std::string_view word = text.substr(start, end == std::string_view::npos ? end : end - start);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end);
  return word;
}

// "types?:i32"
OperandInfo parse_operand(std::string_view word, bool output) {
  OperandInfo operand;
  operand.output = output;
  const size_t colon = word.find(':');
  const std::string_view type = colon == std::string_view::npos ? std::string_view{} : word.substr(colon + 1);
  operand.integer = type == "i32";
  operand.narrow = type == "narrow";
  operand.any = type == "any";
  operand.name = word.substr(0, colon);
  operand.optional = operand.name.ends_with('?');
  if (operand.optional) operand.name.remove_suffix(1);
  return operand;
}

// "dropout:f32"
AttributeInfo parse_attribute(std::string_view word) {
  const size_t colon = word.find(':');
  const std::string_view kind = colon == std::string_view::npos ? "i32" : word.substr(colon + 1);
  return {word.substr(0, colon), kind == "f32"   ? AttributeKind::f32
                                 : kind == "u32" ? AttributeKind::u32
                                                 : AttributeKind::i32};
}

OpInfo parse_op(uint32_t code, std::string_view name, std::string_view operands, std::string_view attributes) {
  OpInfo op{code, name, operands, attributes, {}, {}, 0};
  bool output = true;
  for (std::string_view word = next_word(operands); !word.empty(); word = next_word(operands)) {
    if (word == "<-") {
      output = false;
      op.outputs = static_cast<int>(op.operand_list.size());
    } else {
      op.operand_list.push_back(parse_operand(word, output));
    }
  }
  for (std::string_view word = next_word(attributes); !word.empty(); word = next_word(attributes)) {
    op.attribute_list.push_back(parse_attribute(word));
  }
  return op;
}

std::vector<OpInfo> parse_ops() {
  std::vector<OpInfo> ops;
#define OA_PARSE_OP(code, name, operands, attributes) ops.push_back(parse_op(code, #name, operands, attributes));
  OA_FOR_EACH_OP(OA_PARSE_OP)
#undef OA_PARSE_OP
  return ops;
}

std::vector<CpuBackend> list_backends() {
  return {
#ifdef OA_HAVE_AVX512
      {"avx512", avx512::cpu_table(), avx512::pack_functions(), avx512::run_multiply_adds},
#endif
#ifdef OA_HAVE_AVX2
      {"avx2", avx2::cpu_table(), avx2::pack_functions(), avx2::run_multiply_adds},
#endif
#ifdef OA_HAVE_AVX512_AS_AVX2
      {"avx512_as_avx2", avx512_as_avx2::cpu_table(), avx512_as_avx2::pack_functions(),
       avx512_as_avx2::run_multiply_adds},
#endif
#ifdef OA_HAVE_NEON
      {"neon", neon::cpu_table(), neon::pack_functions(), neon::run_multiply_adds},
#endif
      {"scalar", scalar::cpu_table(), scalar::pack_functions(), scalar::run_multiply_adds},
  };
}

std::vector<std::string_view> names(bool usable_only) {
  std::vector<std::string_view> isas;
  for (const CpuBackend& backend : compiled_backends()) {
    if (!usable_only || cpu_supports(backend.isa)) isas.push_back(backend.isa);
  }
  return isas;
}

}  // namespace

std::span<const OpInfo> op_infos() {
  static const std::vector<OpInfo> ops = parse_ops();
  return ops;
}

const OpInfo* find_op(uint32_t code) {
  for (const OpInfo& op : op_infos()) {
    if (op.code == code) return &op;
  }
  return nullptr;
}

std::span<const CpuBackend> compiled_backends() {
  static const std::vector<CpuBackend> backends = list_backends();
  return backends;
}

std::span<const std::string_view> compiled_isas() {
  static const std::vector<std::string_view> isas = names(false);
  return isas;
}

std::span<const std::string_view> usable_isas() {
  static const std::vector<std::string_view> isas = names(true);
  return isas;
}

std::string_view best_isa() { return usable_isas().front(); }

const CpuBackend* cpu_backend(std::string_view isa) {
  for (const CpuBackend& backend : compiled_backends()) {
    if (backend.isa == isa) return cpu_supports(isa) ? &backend : nullptr;
  }
  return nullptr;
}

}  // namespace oa
