// A thread that runs the jobs of one object in the order of their calls and settles their promises on the JavaScript
// thread. It keeps the process alive only while jobs wait, and never outlives its environment.
#pragma once

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "napi/errors.h"

namespace oa {

// All methods belong to the JavaScript thread, except stopping().
class JobThread {
 public:
  // Starts with the first job. Throws a JavaScript exception where the environment is already closing.
  explicit JobThread(Napi::Env env);
  // Lets a running job finish, drops waiting ones (their promises never settle), joins.
  ~JobThread();
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;

  // Queues work() for the job thread and then value() for the JavaScript thread, whose result settles the promise; what
  // work() throws rejects it, and value() is not called. settled() runs in both cases, first. `keep` holds the
  // JavaScript objects whose memory work() reads or writes.
  struct Job {
    std::function<void()> work;
    std::function<Napi::Value(Napi::Env)> value;
    std::function<void()> settled;
    Napi::ObjectReference keep;
  };
  Napi::Promise enqueue(Napi::Env env, Job job);

  // Like the destructor, now. Safe to call twice, and from settled().
  void stop();

  // Any thread: a long job should end early, since nobody waits for it any more.
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

 private:
  struct Task;
  using Tasks = std::deque<std::unique_ptr<Task>>;
  static void wake(Napi::Env env, Napi::Function, JobThread* self, void*);
  using Signal = Napi::TypedThreadSafeFunction<JobThread, void, wake>;
  static void cleanup(void* self);

  void run();
  void settle_done(Napi::Env env);

  Napi::Env env_;
  Signal signal_;  // carries no data: finished tasks wait in done_, which this object owns
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wakeup_;
  Tasks waiting_;
  Tasks done_;
  std::atomic<bool> stopping_ = false;
  size_t pending_ = 0;    // queued and not settled
  bool stopped_ = false;  // joined, signal released
};

}  // namespace oa
