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

  // Takes over a block, wherever it lies; `release(data, bytes)` frees it.
  Arena(void* data, size_t bytes, void (*release)(void*, size_t)) : data_(data), bytes_(bytes), release_(release) {}
  ~Arena() { release_(data_, bytes_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  char* data() const { return static_cast<char*>(data_); }
  float* floats() const { return static_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
  void (*release_)(void*, size_t);
};

}  // namespace oa
