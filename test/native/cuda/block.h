// One block of threads on the CPU: a fiber for each thread, in random order, with the block's barriers, the warps'
// exchanges and a watched shared memory. What a GPU would let pass silently, or hang on, is a Fault here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace standin {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

// What a kernel did wrong, in words.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The built-in variables of the thread that runs.
struct ThreadState {
  Index3 thread, block, block_size, grid_size;
};
ThreadState& this_thread();

// Runs every block of a grid, one after the other, in random order. Throws Fault.
void run_grid(const char* kernel, Index3 blocks, Index3 threads, size_t shared_bytes,
              const std::function<void()>& body);

// The seed of the orders from here on; 0 is first to last.
void set_order(uint64_t seed);

// --- what device code calls ---

// __syncthreads at a place in the source.
void block_barrier(const char* file, int line);
void warp_barrier(unsigned mask);
// Puts in this lane's value and gives that of lane `source`; both have `bytes`.
void exchange(unsigned mask, const void* own, void* other, int source, size_t bytes);
// What all 32 lanes of a warp do as one, at one place in the source: the last to come calls `act` with what every lane
// brings, before any of them goes on. It orders no memory.
using Together = void (*)(void* const (&lanes)[32]);
void act_together(Together act, void* lane, const char* file, int line);

// The block's shared memory, whose launch must have asked for exactly `bytes`.
void* shared_memory(size_t bytes);
// An access to shared memory by this thread.
void note_read(const void* at, size_t bytes);
void note_write(const void* at, size_t bytes);
// A read of 16 bytes, aligned to them, whose data go to other lanes: on behalf of the whole warp.
void note_warp_read(const void* at);

// A copy of `bytes`, at most 16, and zeros behind them, to 16 bytes of shared memory; both aligned to 16. It arrives
// when this thread waits for its group, and until then nobody may touch the target, or change the source.
void copy_async(void* target, const void* source, size_t bytes);
void commit_copies();
void wait_for_copies(int groups_under_way);

[[noreturn]] void fault(const std::string& what);

template <class T>
T shuffle(unsigned mask, T value, int source) {
  static_assert(std::is_trivially_copyable_v<T>);
  T other;
  exchange(mask, &value, &other, source, sizeof(T));
  return other;
}

// An element of a WatchedArray: every read and write of it is noted.
template <class T>
class Watched {
 public:
  explicit Watched(T* at) : at_(at) {}
  operator T() const {
    note_read(at_, sizeof(T));
    return *at_;
  }
  const Watched& operator=(T value) const {
    note_write(at_, sizeof(T));
    *at_ = value;
    return *this;
  }
  const Watched& operator=(const Watched& other) const { return *this = static_cast<T>(other); }
  const Watched& operator+=(T value) const { return *this = static_cast<T>(*this) + value; }
  const Watched& operator-=(T value) const { return *this = static_cast<T>(*this) - value; }
  const Watched& operator*=(T value) const { return *this = static_cast<T>(*this) * value; }

 private:
  T* at_;
};

template <class T, int N>
struct WatchedArray {
  T values[N];

  Watched<T> operator[](int64_t i) { return Watched<T>(at(i, 1)); }
  Watched<T> operator[](int64_t i) const { return const_cast<WatchedArray*>(this)->operator[](i); }

  // Where `count` elements from i on lie.
  T* at(int64_t i, int count) {
    if (i < 0 || i + count > N) {
      fault("shared array of " + std::to_string(N) + " elements is used at index " +
            std::to_string(i < 0 || i >= N ? i : i + count - 1));
    }
    return values + i;
  }
  const T* at(int64_t i, int count) const { return const_cast<WatchedArray*>(this)->at(i, count); }
};

// Several elements in one access, which has to be aligned to its size.
template <class V, class T, int N>
V* wide(WatchedArray<T, N>& array, int64_t i) {
  static_assert(sizeof(V) % sizeof(T) == 0);
  T* const at = array.at(i, sizeof(V) / sizeof(T));
  if (reinterpret_cast<uintptr_t>(at) % sizeof(V) != 0) {
    fault("accesses " + std::to_string(sizeof(V)) + " bytes of shared memory that are not aligned to them");
  }
  return reinterpret_cast<V*>(at);
}

}  // namespace standin
