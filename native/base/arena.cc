#include "base/arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "base/error.h"

namespace oa {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kMapped = 2 * kHugePage;  // from here on blocks come from the system, zeroed and only on first touch

size_t round_up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

// A block that starts on a huge page, so products walk through panels with few TLB misses; null on failure.
void* map_block(size_t bytes) {
  const size_t length = round_up(bytes, kHugePage);
  void* reserved = mmap(nullptr, length + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(reserved);
  char* const data = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(begin), kHugePage));
  if (data > begin) munmap(begin, data - begin);
  if (const size_t rest = begin + kHugePage - data; rest > 0) munmap(data + length, rest);
#ifdef MADV_HUGEPAGE
  madvise(data, length, MADV_HUGEPAGE);
#endif
  return data;
}

void* heap_block(size_t bytes) {
  void* data = nullptr;
  const size_t rounded = round_up(bytes == 0 ? 1 : bytes, kCacheLine);
  if (posix_memalign(&data, kCacheLine, rounded) != 0) return nullptr;
  std::memset(data, 0, rounded);
  return data;
}

void release_block(void* data, size_t bytes) {
  if (bytes >= kMapped)
    munmap(data, round_up(bytes, kHugePage));
  else
    std::free(data);
}

}  // namespace

std::shared_ptr<Arena> Arena::allocate(size_t bytes, const char* what) {
  constexpr size_t kLimit = size_t{1} << 46;
  void* data = bytes > kLimit ? nullptr : bytes >= kMapped ? map_block(bytes) : heap_block(bytes);
  if (data == nullptr) {
    throw Error("ERR_MEMORY",
                std::string("cannot allocate ") + std::to_string(bytes >> 20) + " MiB for " + what +
                    "; use a smaller batch, or free memory",
                {{"bytes", std::to_string(bytes)}, {"what", what}});
  }
  return std::make_shared<Arena>(data, bytes, release_block);
}

}  // namespace oa
