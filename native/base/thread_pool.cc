#include "base/thread_pool.h"

#include <atomic>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace oa {
namespace {

// Pauses before a waiting thread sleeps: a few hundred microseconds, longer than the serial stretches between two
// jobs of a training step, so a step rarely pays for waking a thread (tens of microseconds against less than one).
constexpr int kSpins = 20000;

inline void relax() {
#if defined(__SSE__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Flushes denormals to zero while in scope: late in training gradients decay into denormals, and an x86 core then
// computes them in microcode, a hundred times slower.
class FlushDenormals {
 public:
#if defined(__SSE__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }  // FTZ and DAZ
  ~FlushDenormals() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (uint64_t{1} << 24)));  // FZ
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  FlushDenormals() = default;
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE__)
  unsigned saved_;
#else
  uint64_t saved_ = 0;
#endif
};

}  // namespace

// One job at a time. `ticket` is the whole protocol: its low half counts the chunks not yet taken, its high half the
// jobs so far. A chunk is taken by compare-and-swap, so whoever holds one knows that its job is not over, and may
// read the job's fields; a thread that comes late finds a ticket without chunks and touches nothing else. The caller
// therefore never waits for threads that are asleep, only for chunks that somebody took.
struct ThreadPool::State {
  alignas(64) std::atomic<uint64_t> ticket{0};
  uint32_t chunks = 0;
  void (*body)(void*, int64_t, int) = nullptr;
  void* context = nullptr;
  alignas(64) std::atomic<uint32_t> done{0};
  alignas(64) std::atomic<uint32_t> epoch{0};  // grows with every job: what sleeping threads wait on
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;

  static uint32_t left(uint64_t ticket) { return static_cast<uint32_t>(ticket); }

  // Takes and runs chunks until none is left; true when it ran at least one.
  bool work(int thread) {
    bool any = false;
    uint64_t seen = ticket.load(std::memory_order_acquire);
    while (left(seen) != 0) {
      if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      const uint32_t total = chunks;  // before `done`: afterwards the next job may write the fields
      body(context, total - left(seen), thread);
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == total) done.notify_one();
      any = true;
      seen = ticket.load(std::memory_order_acquire);
    }
    return any;
  }

  void worker_loop(int thread) {
    const FlushDenormals flush;
    while (true) {
      const uint32_t seen = epoch.load(std::memory_order_acquire);
      bool worked = work(thread);
      for (int spin = 0; spin < kSpins && !worked && !stop.load(std::memory_order_relaxed); ++spin) {
        relax();
        worked = left(ticket.load(std::memory_order_relaxed)) != 0;
      }
      if (stop.load(std::memory_order_acquire)) return;
      if (!worked) epoch.wait(seen, std::memory_order_acquire);
    }
  }

  void wait_until_done() {
    uint32_t finished = done.load(std::memory_order_acquire);
    for (int spin = 0; finished != chunks && spin < kSpins; ++spin) {
      relax();
      finished = done.load(std::memory_order_acquire);
    }
    while (finished != chunks) {
      done.wait(finished, std::memory_order_acquire);
      finished = done.load(std::memory_order_acquire);
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(new State), threads_(threads < 1 ? 1 : threads) {
  state_->workers.reserve(static_cast<size_t>(threads_ - 1));
  for (int i = 1; i < threads_; ++i) state_->workers.emplace_back([this, i] { state_->worker_loop(i); });
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->epoch.fetch_add(1, std::memory_order_release);
  state_->epoch.notify_all();
  for (auto& worker : state_->workers) worker.join();
  delete state_;
}

void ThreadPool::run(int64_t chunks, void (*body)(void* context, int64_t chunk, int thread), void* context) {
  if (chunks <= 0) return;
  const FlushDenormals flush;
  State& s = *state_;
  if (threads_ == 1 || chunks == 1) {
    for (int64_t i = 0; i < chunks; ++i) body(context, i, 0);
    return;
  }
  s.chunks = static_cast<uint32_t>(chunks);
  s.body = body;
  s.context = context;
  s.done.store(0, std::memory_order_relaxed);
  const uint64_t job = (s.ticket.load(std::memory_order_relaxed) >> 32) + 1;
  s.ticket.store(job << 32 | s.chunks, std::memory_order_release);
  s.epoch.fetch_add(1, std::memory_order_release);
  s.epoch.notify_all();
  s.work(0);
  s.wait_until_done();
}

}  // namespace oa
