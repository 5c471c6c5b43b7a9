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
// The block's shared memory, whose launch must have asked for exactly `bytes`.
void* shared_memory(size_t bytes);
// An access to shared memory by this thread.
void note_read(const void* at, size_t bytes);
void note_write(const void* at, size_t bytes);
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

  Watched<T> operator[](int64_t i) {
    if (i < 0 || i >= N) {
      fault("shared array of " + std::to_string(N) + " elements is used at index " + std::to_string(i));
    }
    return Watched<T>(values + i);
  }
  Watched<T> operator[](int64_t i) const { return const_cast<WatchedArray*>(this)->operator[](i); }
};

}  // namespace standin
