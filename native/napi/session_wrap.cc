#include "napi/session_wrap.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "napi/addon.h"
#include "napi/convert.h"
#include "napi/errors.h"
#include "napi/weights_wrap.h"

namespace oa {
namespace {

// What a run brings back, filled on the job thread.
struct RunResult {
  std::vector<StepResult> steps;
  std::vector<std::vector<float>> outputs;
  std::vector<std::vector<double>> op_milliseconds;  // without timing: empty
  std::optional<MemoryReport> memory;                // after a replan

  Napi::Value to_js(Napi::Env env) const {
    auto losses = Napi::Float32Array::New(env, steps.size());
    auto norms = Napi::Float32Array::New(env, steps.size());
    auto milliseconds = Napi::Float64Array::New(env, steps.size());
    auto arrays = Napi::Array::New(env, outputs.size());
    for (size_t i = 0; i < steps.size(); ++i) {
      losses[i] = steps[i].loss;
      norms[i] = steps[i].norm;
      milliseconds[i] = steps[i].milliseconds;
      arrays.Set(static_cast<uint32_t>(i), copy_floats(env, outputs[i].data(), outputs[i].size()));
    }
    auto result = Napi::Object::New(env);
    result.Set("losses", losses);
    result.Set("norms", norms);
    result.Set("milliseconds", milliseconds);
    result.Set("outputs", arrays);
    if (!op_milliseconds.empty()) result.Set("opMilliseconds", op_times(env));
    return result;
  }

  Napi::Value op_times(Napi::Env env) const {
    auto arrays = Napi::Array::New(env, op_milliseconds.size());
    for (size_t i = 0; i < op_milliseconds.size(); ++i) {
      const std::vector<double>& times = op_milliseconds[i];
      auto array = Napi::Float64Array::New(env, times.size());
      std::copy(times.begin(), times.end(), array.Data());
      arrays.Set(static_cast<uint32_t>(i), array);
    }
    return arrays;
  }
};

// True where an optimizer step went wrong: nothing sensible can follow.
bool has_failed(const Entry& entry, const StepResult& step) {
  const auto bad = [](uint32_t buffer, float value) { return buffer != kNone && !std::isfinite(value); };
  return entry.updates && (bad(entry.loss, step.loss) || bad(entry.norm, step.norm));
}

// Every step in order; stops early where training has failed, and where the environment closes, since nobody will see
// the rest.
void run_steps(Session& session, const std::string& entry_name, const std::vector<Batch>& batches,
               const JobThread& thread, RunResult& result) {
  const size_t entry = session.program().entry_index(entry_name);
  result.steps.reserve(batches.size());
  result.outputs.reserve(batches.size());
  for (size_t i = 0; i < batches.size() && !thread.stopping(); ++i) {
    try {
      result.steps.push_back(session.run(entry, batches[i]));
    } catch (const Error& error) {
      Error::Details details = error.details();
      details.emplace_back("batch", std::to_string(i));
      throw Error(error.code(), error.what(), std::move(details));
    }
    const auto output = session.output(entry);
    result.outputs.emplace_back(output.begin(), output.end());
    const auto times = session.op_milliseconds(entry);
    if (!times.empty()) result.op_milliseconds.emplace_back(times.begin(), times.end());
    if (has_failed(session.program().entries[entry], result.steps.back())) return;
  }
}

double to_milliseconds(const Napi::Value& value) {
  const double milliseconds = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (milliseconds >= 0 && milliseconds <= 60e3) return milliseconds;
  throw to_js(value.Env(),
              {"ERR_OPTION", "milliseconds: expected a number from 0 to 60000", {{"option", "milliseconds"}}});
}

std::span<const std::byte> bytes_of(const Napi::Uint8Array& array) {
  return {reinterpret_cast<const std::byte*>(array.Data()), array.ByteLength()};
}

}  // namespace

Napi::Function SessionWrap::define(Napi::Env env) {
  return DefineClass(
      env, "Session",
      {StaticMethod<&SessionWrap::create>("create"), InstanceMethod<&SessionWrap::run>("run"),
       InstanceMethod<&SessionWrap::read>("read"), InstanceMethod<&SessionWrap::write>("write"),
       InstanceMethod<&SessionWrap::add_task>("addTask"), InstanceMethod<&SessionWrap::remove_task>("removeTask"),
       InstanceMethod<&SessionWrap::measure_roof>("measureRoof"),
       InstanceMethod<&SessionWrap::measure_product>("measureProduct"), InstanceMethod<&SessionWrap::memory>("memory"),
       InstanceMethod<&SessionWrap::statistics>("statistics"), InstanceMethod<&SessionWrap::arena>("arena"),
       InstanceMethod<&SessionWrap::dispose>("dispose")});
}

SessionWrap::SessionWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionWrap>(info) {
  if (!info[0].IsExternal())
    throw to_js(info.Env(), {"ERR_OPTION", "use Session.create(weights, program, options)", {}});
  thread_ = std::make_unique<JobThread>(info.Env());
}

void SessionWrap::Finalize(Napi::BasicEnv env) {
  thread_.reset();
  report_memory(env, 0);
}

Napi::Value SessionWrap::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  AddonData& data = *env.GetInstanceData<AddonData>();
  if (!info[0].IsObject() || !info[0].As<Napi::Object>().InstanceOf(data.weights.Value())) {
    throw to_js(env, {"ERR_OPTION", "weights: expected a Weights object", {{"option", "weights"}}});
  }
  const auto weights = WeightsWrap::Unwrap(info[0].As<Napi::Object>())->weights();
  const auto program = to_bytes(info[1], "program");
  SessionOptions options;
  if (!info[2].IsUndefined()) {
    const Napi::Object given = to_object(info[2], "options");
    options.threads = static_cast<int>(to_integer(given, "threads", 1, 1, 1024));
    options.poison = given.Get("poison").ToBoolean();
    options.timing = given.Get("timing").ToBoolean();
  }
  const Napi::Object object = data.session.New({Napi::External<AddonData>::New(env, &data)});
  SessionWrap* const self = Unwrap(object);
  JobThread::Job job = self->job_keeping(program);
  job.work = [self, weights, bytes = bytes_of(program), options] {
    self->session_ = std::make_unique<Session>(weights, bytes, options);
  };
  job.settled = [self] {
    if (!self->session_) self->thread_->stop();
  };
  job.value = [self](Napi::Env at) -> Napi::Value {
    self->created(at);
    return self->Value();
  };
  return self->thread_->enqueue(env, std::move(job));
}

// Copies what synchronous calls need, and tells the garbage collector what this object weighs.
void SessionWrap::created(Napi::Env env) {
  memory_ = session_->memory();
  parameters_ = session_->parameters();
  remote_ = session_->device().is_remote();
  for (size_t i = 0; i < has_slot_.size(); ++i) has_slot_[i] = session_->slot(kSlots[i]) != nullptr;
  report_memory(env);
}

// What this object alone holds now.
void SessionWrap::report_memory(Napi::BasicEnv env) {
  report_memory(env, memory_.parameters + memory_.activations + memory_.scratch + memory_.tasks);
}

void SessionWrap::report_memory(Napi::BasicEnv env, int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes - reported_);
  reported_ = bytes;
}

// A job that keeps this object and what it reads.
JobThread::Job SessionWrap::job_keeping(const Napi::Object& keep) {
  auto holder = Napi::Array::New(keep.Env(), 2);
  holder.Set(0u, Value());
  holder.Set(1u, keep);
  JobThread::Job job;
  job.keep = Napi::Persistent(holder.As<Napi::Object>());
  return job;
}

void SessionWrap::require_usable(Napi::Env env) const {
  if (!disposal_.IsEmpty()) throw to_js(env, {"ERR_DISPOSED", "the session has been disposed", {}});
}

void SessionWrap::require_idle(Napi::Env env) const {
  require_usable(env);
  if (running_) {
    throw to_js(env, {"ERR_BUSY", "the session runs already; await the promise of the earlier run first", {}});
  }
}

// The slot of that name; inference has no gradients and no moments.
Storage SessionWrap::existing_slot(const Napi::Value& value) const {
  const Storage slot = to_slot(value);
  if (!has_slot_[slot_index(slot)]) {
    const std::string name = value.As<Napi::String>().Utf8Value();
    throw to_js(value.Env(), {"ERR_OPTION", "the session's program has no " + name, {{"option", "slot"}}});
  }
  return slot;
}

Napi::Value SessionWrap::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_idle(env);
  const std::string entry = to_string(info[0], "entry");
  BatchList list = to_batches(info[1]);
  auto keep = Napi::Array::New(env, 2);
  keep.Set(0u, list.keep.Value());
  keep.Set(1u, info[2]);
  std::span<const std::byte> program;
  if (!info[2].IsUndefined()) program = bytes_of(to_bytes(info[2], "program"));
  JobThread::Job job = job_keeping(keep);
  auto batches = std::make_shared<std::vector<Batch>>(std::move(list.batches));
  auto result = std::make_shared<RunResult>();
  job.work = [this, entry, batches, program, result] {
    // In the same job, so that no call comes between, and nothing runs where the program is refused.
    if (program.data() != nullptr) {
      session_->replan(program);
      result->memory = session_->memory();
    }
    run_steps(*session_, entry, *batches, *thread_, *result);
  };
  job.settled = [this, result] {
    running_ = false;
    if (result->memory) memory_ = *result->memory;
  };
  job.value = [this, result](Napi::Env at) {
    if (result->memory) report_memory(at);
    runs_ += 1;
    steps_ += static_cast<double>(result->steps.size());
    return result->to_js(at);
  };
  running_ = true;
  return thread_->enqueue(env, std::move(job));
}

Napi::Value SessionWrap::read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_usable(env);
  const Storage slot = existing_slot(info[0]);
  auto array = Napi::Float32Array::New(env, static_cast<size_t>(parameters_));
  JobThread::Job job = job_keeping(array);
  job.work = [this, slot, target = array.Data()] { session_->read_slot(slot, target); };
  auto keep = std::make_shared<Napi::ObjectReference>(Napi::Persistent(array.As<Napi::Object>()));
  job.value = [keep](Napi::Env) { return keep->Value(); };
  return thread_->enqueue(env, std::move(job));
}

Napi::Value SessionWrap::write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_usable(env);
  const Storage slot = existing_slot(info[0]);
  const auto array = to_floats(info[1], "data");
  if (static_cast<int64_t>(array.ElementLength()) != parameters_) {
    throw to_js(env, {"ERR_OPTION",
                      "data has " + std::to_string(array.ElementLength()) + " elements, expected " +
                          std::to_string(parameters_),
                      {{"option", "data"}}});
  }
  JobThread::Job job = job_keeping(array);
  job.work = [this, slot, source = array.Data()] { session_->write_slot(slot, source); };
  return thread_->enqueue(env, std::move(job));
}

Napi::Value SessionWrap::add_task(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_usable(env);
  EntryList list = to_weight_entries(info[0]);
  auto entries = std::make_shared<std::vector<WeightEntry>>(std::move(list.entries));
  auto number = std::make_shared<size_t>(0);
  auto memory = std::make_shared<MemoryReport>();
  JobThread::Job job = job_keeping(list.keep.Value());
  job.work = [this, entries, number, memory] {
    *number = session_->add_task(*entries);
    *memory = session_->memory();
  };
  job.value = [this, number, memory](Napi::Env at) -> Napi::Value {
    memory_.tasks = memory->tasks;
    report_memory(at);
    return Napi::Number::New(at, static_cast<double>(*number));
  };
  return thread_->enqueue(env, std::move(job));
}

Napi::Value SessionWrap::remove_task(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_usable(env);
  const double number = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number < 1e9 && std::floor(number) == number)) {
    throw to_js(env, {"ERR_OPTION", "task: expected the number that addTask gave", {{"option", "task"}}});
  }
  auto memory = std::make_shared<MemoryReport>();
  JobThread::Job job = job_keeping(Napi::Object::New(env));
  job.work = [this, number, memory] {
    session_->remove_task(static_cast<size_t>(number));
    *memory = session_->memory();
  };
  job.value = [this, memory](Napi::Env at) {
    memory_.tasks = memory->tasks;
    report_memory(at);
    return at.Undefined();
  };
  return thread_->enqueue(env, std::move(job));
}

Napi::Value SessionWrap::measure_roof(const Napi::CallbackInfo& info) {
  require_usable(info.Env());
  const double milliseconds = to_milliseconds(info[0]);
  return measure(info.Env(), [this, milliseconds] { return session_->measure_roof(milliseconds); });
}

Napi::Value SessionWrap::measure_product(const Napi::CallbackInfo& info) {
  require_usable(info.Env());
  const Napi::Object given = to_object(info[0], "product");
  const auto size = [&given](const char* name) { return to_integer(given, name, 0, 1, 1 << 24); };
  const ProductShape shape{size("rows"), size("columns"), size("depth"), given.Get("transposeA").ToBoolean(),
                           given.Get("transposeB").ToBoolean()};
  const double milliseconds = to_milliseconds(info[1]);
  return measure(info.Env(), [this, shape, milliseconds] { return session_->measure_product(shape, milliseconds); });
}

// A job of its own for a rate.
Napi::Value SessionWrap::measure(Napi::Env env, std::function<double()> rate_of) {
  JobThread::Job job = job_keeping(Napi::Object::New(env));
  auto rate = std::make_shared<double>(0);
  job.work = [rate_of = std::move(rate_of), rate] { *rate = rate_of(); };
  job.value = [rate](Napi::Env at) -> Napi::Value { return Napi::Number::New(at, *rate); };
  return thread_->enqueue(env, std::move(job));
}

Napi::Value SessionWrap::memory(const Napi::CallbackInfo& info) {
  require_usable(info.Env());
  auto result = Napi::Object::New(info.Env());
  result.Set("parameters", static_cast<double>(memory_.parameters));
  result.Set("activations", static_cast<double>(memory_.activations));
  result.Set("scratch", static_cast<double>(memory_.scratch));
  result.Set("tasks", static_cast<double>(memory_.tasks));
  result.Set("frozen", static_cast<double>(memory_.frozen));
  return result;
}

Napi::Value SessionWrap::statistics(const Napi::CallbackInfo& info) {
  auto result = Napi::Object::New(info.Env());
  result.Set("runs", runs_);
  result.Set("steps", steps_);
  return result;
}

Napi::Value SessionWrap::arena(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require_usable(env);
  const Storage slot = existing_slot(info[0]);
  if (remote_) {
    throw to_js(env, {"ERR_OPTION", "the buffers of this session are in the memory of a GPU: use read and write", {}});
  }
  Napi::ObjectReference& known = arenas_[slot_index(slot)];
  if (known.IsEmpty()) {
    const size_t bytes = static_cast<size_t>(parameters_) * sizeof(float);  // without the guard that tests may have
    known = Napi::Persistent(share(env, session_->slot(slot), bytes).As<Napi::Object>());
  }
  return known.Value();
}

// The last job; calling it again gives the same promise.
Napi::Value SessionWrap::dispose(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!disposal_.IsEmpty()) return disposal_.Value();
  JobThread::Job job = job_keeping(Napi::Object::New(env));
  job.work = [this] { session_.reset(); };
  job.settled = [this] { thread_->stop(); };
  job.value = [this](Napi::Env at) {
    for (Napi::ObjectReference& arena : arenas_) arena.Reset();
    report_memory(at, 0);
    return at.Undefined();
  };
  const Napi::Promise promise = thread_->enqueue(env, std::move(job));
  disposal_ = Napi::Persistent(promise.As<Napi::Object>());
  return promise;
}

}  // namespace oa
