#include "napi/job_thread.h"

#include <utility>

namespace oa {

struct JobThread::Task {
  Job job;
  Napi::Promise::Deferred deferred;
  std::optional<Failure> failure;
};

JobThread::JobThread(Napi::Env env) : env_(env) {
  signal_ = Signal::New(env, "onnx-adapters", 0, 1, this);
  signal_.Unref(env);
  // After the thread-safe function: cleanup hooks run last in, first out, and the thread must be gone before its
  // signal is.
  napi_add_env_cleanup_hook(env, cleanup, this);
}

JobThread::~JobThread() { stop(); }

Napi::Promise JobThread::enqueue(Napi::Env env, Job job) {
  auto task = std::make_unique<Task>(Task{std::move(job), Napi::Promise::Deferred::New(env), std::nullopt});
  const Napi::Promise promise = task->deferred.Promise();
  if (stopped_) {
    task->deferred.Reject(to_js(env, {"ERR_DISPOSED", "its thread has ended", {}}).Value());
    return promise;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  if (pending_++ == 0) signal_.Ref(env);
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(task));
  }
  wakeup_.notify_one();
  return promise;
}

void JobThread::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wakeup_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::unique_ptr<Task> task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      task->job.work();
    } catch (...) {
      task->failure = to_failure(std::current_exception());
    }
    lock.lock();
    done_.push_back(std::move(task));
    // Under the lock, so stop() cannot release the signal between the check and the call.
    if (!stopping_) signal_.NonBlockingCall();
  }
}

// On the JavaScript thread. `env` is null when the environment closes: stop() has taken care of everything then.
void JobThread::wake(Napi::Env env, Napi::Function, JobThread* self, void*) {
  if (static_cast<napi_env>(env) == nullptr) return;
  self->settle_done(env);
}

void JobThread::settle_done(Napi::Env env) {
  while (true) {
    std::unique_ptr<Task> task;
    {
      const std::lock_guard lock(mutex_);
      if (done_.empty()) return;
      task = std::move(done_.front());
      done_.pop_front();
    }
    Napi::HandleScope scope(env);
    if (--pending_ == 0 && !stopped_) signal_.Unref(env);
    if (task->job.settled) task->job.settled();
    try {
      if (task->failure)
        task->deferred.Reject(to_js(env, *task->failure).Value());
      else
        task->deferred.Resolve(task->job.value ? task->job.value(env) : env.Undefined());
    } catch (const Napi::Error& error) {
      task->deferred.Reject(error.Value());
    }
  }
}

void JobThread::stop() {
  if (stopped_) return;
  stopped_ = true;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wakeup_.notify_one();
  if (thread_.joinable()) thread_.join();
  napi_remove_env_cleanup_hook(env_, cleanup, this);
  waiting_.clear();
  done_.clear();
  signal_.Abort();
}

void JobThread::cleanup(void* self) { static_cast<JobThread*>(self)->stop(); }

}  // namespace oa
