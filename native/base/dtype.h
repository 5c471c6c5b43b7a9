// Element types of a program's buffers, and the conversions that frozen weights may need.
#pragma once

#include <bit>
#include <cstdint>

namespace oa {

// The same numbers in lib/plan/encode.ts. bf16 is the upper half of an f32; only GPUs have kernels for it.
enum class DType : uint32_t { f32 = 0, i32 = 1, bf16 = 2 };

inline const char* dtype_name(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::i32 ? "i32" : "bf16";
}

inline int64_t dtype_bytes(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

// IEEE 754 binary16 bits to f32, exact, subnormals, infinities and NaN included. Without branches on the common path:
// shift exponent and mantissa into place and scale by 2^112, which also normalises subnormals.
inline float half_to_float(uint16_t half) {
  const uint32_t magnitude = (half & 0x7fffu) << 13;
  const uint32_t sign = (half & 0x8000u) << 16;
  if (magnitude >= 0x7c00u << 13) return std::bit_cast<float>(sign | magnitude | 0x7f800000u);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f) | sign);
}

// f32 to bf16 bits, rounded to the nearest, ties to even. Every NaN becomes 0x7fff, which is what GPUs make of it.
inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);  // may carry into infinity, as it should
}

inline float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

}  // namespace oa
