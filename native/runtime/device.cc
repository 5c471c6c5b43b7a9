#include "runtime/device.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/error.h"
#include "runtime/cuda_device.h"

namespace oa {
namespace {

constexpr std::string_view kCuda = "cuda";

// 0 of "cuda", 2 of "cuda:2", -1 of anything else.
int gpu_index(std::string_view name) {
  if (name == kCuda) return 0;
  if (!name.starts_with(kCuda) || name.size() <= kCuda.size() + 1 || name[kCuda.size()] != ':') return -1;
  int index = -1;
  const char* const end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kCuda.size() + 1, end, index);
  return parsed.ec == std::errc() && parsed.ptr == end ? index : -1;
}

// Of what stands behind the slash.
std::optional<DevicePrecision> precision_named(std::string_view name) {
  if (name.empty() || name == "float32") return DevicePrecision::float32;
  if (name == "tf32") return DevicePrecision::tf32;
  if (name == "bfloat16") return DevicePrecision::bfloat16;
  return std::nullopt;
}

}  // namespace

std::shared_ptr<const Device> find_device(std::string_view name) {
  if (const CpuBackend* backend = cpu_backend(name)) return cpu_device(*backend);
  const size_t slash = std::min(name.find('/'), name.size());
  const std::string_view behind = slash < name.size() ? name.substr(slash + 1) : std::string_view{};
  if (const int index = gpu_index(name.substr(0, slash)); index >= 0) {
    if (const auto precision = precision_named(behind)) return cuda_device(index, *precision);
    throw Error("ERR_DEVICE", "a GPU has no precision '" + std::string(behind) + "': float32, tf32, bfloat16",
                {{"device", std::string(name)}});
  }
  throw Error("ERR_DEVICE", "the instruction set '" + std::string(name) + "' is not compiled in, or this CPU lacks it",
              {{"device", std::string(name)}});
}

}  // namespace oa
