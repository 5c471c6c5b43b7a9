#include "runtime/device.h"

#include <charconv>
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

}  // namespace

std::shared_ptr<const Device> find_device(std::string_view name) {
  if (const CpuBackend* backend = cpu_backend(name)) return cpu_device(*backend);
  if (const int index = gpu_index(name); index >= 0) return cuda_device(index);
  throw Error("ERR_DEVICE", "the instruction set '" + std::string(name) + "' is not compiled in, or this CPU lacks it",
              {{"device", std::string(name)}});
}

}  // namespace oa
