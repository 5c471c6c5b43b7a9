// The JavaScript class `Session`: queues work for its job thread, and knows what may be called when.
#pragma once

#include <napi.h>

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "napi/job_thread.h"
#include "runtime/session.h"

namespace oa {

class SessionWrap : public Napi::ObjectWrap<SessionWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  // Only for create: from JavaScript `new Session()` throws.
  explicit SessionWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override;

 private:
  static Napi::Value create(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value add_task(const Napi::CallbackInfo& info);
  Napi::Value remove_task(const Napi::CallbackInfo& info);
  Napi::Value measure_roof(const Napi::CallbackInfo& info);
  Napi::Value measure_product(const Napi::CallbackInfo& info);
  Napi::Value measure(Napi::Env env, std::function<double()> rate_of);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  Napi::Value arena(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  void require_usable(Napi::Env env) const;
  void require_idle(Napi::Env env) const;
  Storage existing_slot(const Napi::Value& value) const;
  void created(Napi::Env env);
  void report_memory(Napi::BasicEnv env);
  void report_memory(Napi::BasicEnv env, int64_t bytes);
  JobThread::Job job_keeping(const Napi::Object& keep);

  std::unique_ptr<JobThread> thread_;
  std::unique_ptr<Session> session_;  // the job thread's while jobs are pending
  MemoryReport memory_;               // copies for synchronous calls while a job runs
  int64_t parameters_ = 0;
  bool remote_ = false;  // on a GPU
  std::array<bool, kSlots.size()> has_slot_{};
  std::array<Napi::ObjectReference, kSlots.size()> arenas_;  // one ArrayBuffer an arena, made when first asked for
  int64_t reported_ = 0;                                     // bytes that the garbage collector was told of
  double runs_ = 0;
  double steps_ = 0;
  bool running_ = false;
  Napi::ObjectReference disposal_;  // the promise of dispose, once called
};

}  // namespace oa
