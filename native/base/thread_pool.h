// A pool of threads that runs numbered chunks of work. Chunks are handed out by an atomic counter; what a chunk
// computes depends on its number alone, so results do not depend on the number of threads.
#pragma once

#include <cstdint>

namespace oa {

class ThreadPool {
 public:
  // `threads` counts the caller: threads - 1 are started. They spin for a short while between jobs, then sleep.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Runs body(context, chunk, thread) for every chunk in [0, chunks), thread in [0, threads()); returns when all are
  // done. Not reentrant: a body must not call run. Allocates nothing.
  void run(int64_t chunks, void (*body)(void* context, int64_t chunk, int thread), void* context);

  // The same for a callable f(int64_t chunk, int thread).
  template <class F>
  void parallel_for(int64_t chunks, const F& f) {
    run(
        chunks, [](void* context, int64_t chunk, int thread) { (*static_cast<const F*>(context))(chunk, thread); },
        const_cast<F*>(&f));
  }

 private:
  struct State;
  State* state_;
  int threads_;
};

}  // namespace oa
