#include "base/cpu_features.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <fstream>
#endif

namespace oa {
namespace {

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "unknown";
  const size_t last = text.find_last_not_of(std::string_view(" \0", 2));
  return text.substr(first, last - first + 1);
}

#if defined(__x86_64__)

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zeros where the CPU does not know the leaf.
Registers cpuid(uint32_t leaf) {
  Registers r;
  __get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// XCR0: the register files that the operating system saves on a context switch.
uint64_t saved_registers() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

bool has(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

std::string brand() {
  char text[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002 + i);
    std::memcpy(text + 16 * i, &r, 16);
  }
  return trimmed(text);
}

CpuFeatures detect() {
  CpuFeatures f;
  f.model = brand();
  const Registers one = cpuid(1), seven = cpuid(7);
  const bool osxsave = has(one.ecx, 27);
  const uint64_t saved = osxsave ? saved_registers() : 0;
  const bool ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xe6) == 0xe6;
  const bool fma = has(one.ecx, 12), avx = has(one.ecx, 28), f16c = has(one.ecx, 29);
  f.avx2 = ymm && avx && fma && f16c && has(seven.ebx, 5);
  const bool f512 = has(seven.ebx, 16), dq = has(seven.ebx, 17), bw = has(seven.ebx, 30), vl = has(seven.ebx, 31);
  f.avx512 = f.avx2 && zmm && f512 && dq && bw && vl;
  return f;
}

#else

std::string model_name() {
#if defined(__APPLE__)
  char text[128] = {};
  size_t size = sizeof text - 1;
  if (sysctlbyname("machdep.cpu.brand_string", text, &size, nullptr, 0) == 0) return trimmed(text);
#elif defined(__linux__)
  std::ifstream file("/proc/device-tree/model");
  std::string line;
  if (file && std::getline(file, line)) return trimmed(line);
#endif
  return "unknown";
}

CpuFeatures detect() {
  CpuFeatures f;
  f.model = model_name();
#if defined(__aarch64__)
  f.neon = true;
#endif
  return f;
}

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

bool cpu_supports(std::string_view isa) {
  const CpuFeatures& f = cpu_features();
  if (isa == "scalar") return true;
  if (isa == "avx2" || isa == "avx512_as_avx2") return f.avx2;
  if (isa == "avx512") return f.avx512;
  if (isa == "neon") return f.neon;
  return false;
}

}  // namespace oa
