// One block of memory, aligned and zeroed, owned through a pointer that JavaScript's ArrayBuffers may share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace oa {

class Arena {
 public:
  // 64-byte aligned (a cache line, a ZMM register), zeroed; large blocks on huge pages where the system offers them.
  // `bytes` may be 0. Throws Error ERR_MEMORY with the size when the system refuses.
  static std::shared_ptr<Arena> allocate(size_t bytes, const char* what);

  explicit Arena(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  char* data() const { return static_cast<char*>(data_); }
  float* floats() const { return static_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace oa
