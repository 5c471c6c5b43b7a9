#include "napi/convert.h"

#include <cmath>
#include <cstring>

#include "napi/errors.h"

namespace oa {
namespace {

[[noreturn]] void wrong(Napi::Env env, const char* code, const std::string& what, Error::Details details = {}) {
  throw to_js(env, {code, what, std::move(details)});
}

bool is_typed_array(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

// Collects the JavaScript objects that a job reads, in one array with one reference.
class Keeper {
 public:
  explicit Keeper(Napi::Env env) : array_(Napi::Array::New(env)) {}
  void add(const Napi::Value& value) { array_.Set(count_++, value); }
  Napi::ObjectReference reference() const { return Napi::Persistent(array_.As<Napi::Object>()); }

 private:
  Napi::Array array_;
  uint32_t count_ = 0;
};

class BatchReader {
 public:
  BatchReader(Keeper& keeper, const Napi::Object& object, uint32_t index)
      : keeper_(keeper), object_(object), index_(index) {}

  Batch read() {
    Batch batch;
    batch.ids = integers("ids", true, batch.ids_count);
    batch.types = integers("types", false, batch.types_count);
    batch.cu = integers("cu", true, batch.cu_count);
    read_labels(batch);
    read_groups(batch);
    batch.learning_rate = static_cast<float>(number("learningRate").value_or(0));
    if (const auto step = number("step")) {
      if (!(*step >= 0 && *step < 4294967295.0 && std::floor(*step) == *step)) wrong_field("step", "a whole number");
      batch.step = static_cast<uint32_t>(*step);
    }
    return batch;
  }

 private:
  [[noreturn]] void wrong_field(const char* field, const char* expected) {
    const std::string place = "batches[" + std::to_string(index_) + "]." + field;
    wrong(object_.Env(), "ERR_BATCH", place + ": expected " + expected,
          {{"batch", std::to_string(index_)}, {"field", field}});
  }

  const int32_t* integers(const char* field, bool required, int64_t& count) {
    const Napi::Value value = object_.Get(field);
    if (value.IsUndefined() && !required) return nullptr;
    if (!is_typed_array(value, napi_int32_array)) wrong_field(field, "an Int32Array");
    keeper_.add(value);
    const auto array = value.As<Napi::Int32Array>();
    count = static_cast<int64_t>(array.ElementLength());
    return count == 0 ? kEmpty : array.Data();
  }

  void read_labels(Batch& batch) {
    const Napi::Value value = object_.Get("labels");
    if (value.IsUndefined()) return;
    if (is_typed_array(value, napi_float32_array)) {
      const auto array = value.As<Napi::Float32Array>();
      batch.labels = array.Data();
      batch.labels_count = static_cast<int64_t>(array.ElementLength());
      batch.labels_dtype = DType::f32;
      keeper_.add(value);
    } else if (is_typed_array(value, napi_int32_array)) {
      batch.labels = integers("labels", true, batch.labels_count);
    } else {
      wrong_field("labels", "an Int32Array or Float32Array");
    }
    if (!batch.labels) batch.labels = kEmpty;
  }

  void read_groups(Batch& batch) {
    int64_t ends = 0;
    batch.tasks = integers("tasks", false, batch.groups);
    batch.task_ends = integers("taskEnds", false, ends);
    if (ends != batch.groups) wrong_field("taskEnds", "as many elements as tasks has");
  }

  std::optional<double> number(const char* field) {
    const Napi::Value value = object_.Get(field);
    if (value.IsUndefined()) return std::nullopt;
    if (!value.IsNumber()) wrong_field(field, "a number");
    return value.As<Napi::Number>().DoubleValue();
  }

  static constexpr int32_t kEmpty[1] = {0};  // an empty array may have no memory, but null means absent
  Keeper& keeper_;
  Napi::Object object_;
  uint32_t index_;
};

WeightPart read_part(Keeper& keeper, const Napi::Object& object, const std::string& key) {
  const Napi::Env env = object.Env();
  const Napi::Value data = object.Get("data");
  WeightPart part;
  if (is_typed_array(data, napi_float32_array)) {
    part.f32 = data.As<Napi::Float32Array>().Data();
  } else if (is_typed_array(data, napi_uint16_array)) {
    part.half = data.As<Napi::Uint16Array>().Data();
  } else {
    wrong(env, "ERR_WEIGHTS", "weight \"" + key + "\": data must be a Float32Array or Uint16Array", {{"key", key}});
  }
  keeper.add(data);
  part.elements = static_cast<int64_t>(data.As<Napi::TypedArray>().ElementLength());
  part.rows = to_integer(object, "rows", -1, 0, int64_t{1} << 40);
  part.transposed = object.Get("transposed").ToBoolean();
  return part;
}

WeightEntry read_entry(Keeper& keeper, const Napi::Object& object) {
  WeightEntry entry;
  entry.key = to_string(object.Get("key"), "the key of a weight");
  entry.form = static_cast<Form>(to_integer(object, "form", 0, 0, 2));
  entry.dtype = static_cast<DType>(to_integer(object, "dtype", 0, 0, 2));
  entry.rows = to_integer(object, "rows", -1, 0, int64_t{1} << 40);
  entry.columns = to_integer(object, "columns", 1, 1, int64_t{1} << 24);
  const Napi::Value parts = object.Get("parts");
  if (!parts.IsArray()) wrong(object.Env(), "ERR_WEIGHTS", "weight \"" + entry.key + "\" has no parts");
  const auto list = parts.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    entry.parts.push_back(read_part(keeper, to_object(list.Get(i), "a part of a weight"), entry.key));
  }
  return entry;
}

}  // namespace

BatchList to_batches(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  if (!value.IsArray()) wrong(env, "ERR_BATCH", "batches: expected an array");
  const auto list = value.As<Napi::Array>();
  Keeper keeper(env);
  BatchList result;
  result.batches.reserve(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i) {
    Napi::HandleScope scope(env);
    result.batches.push_back(BatchReader(keeper, to_object(list.Get(i), "a batch"), i).read());
  }
  result.keep = keeper.reference();
  return result;
}

EntryList to_weight_entries(const Napi::Value& value) {
  const Napi::Env env = value.Env();
  if (!value.IsArray()) wrong(env, "ERR_WEIGHTS", "entries: expected an array");
  const auto list = value.As<Napi::Array>();
  Keeper keeper(env);
  EntryList result;
  result.entries.reserve(list.Length());
  for (uint32_t i = 0; i < list.Length(); ++i) {
    Napi::HandleScope scope(env);
    result.entries.push_back(read_entry(keeper, to_object(list.Get(i), "a weight")));
  }
  result.keep = keeper.reference();
  return result;
}

Storage to_slot(const Napi::Value& value) {
  const std::string name = to_string(value, "slot");
  if (name == "parameters") return Storage::parameter;
  if (name == "gradients") return Storage::gradient;
  if (name == "moment1") return Storage::moment1;
  if (name == "moment2") return Storage::moment2;
  wrong(value.Env(), "ERR_OPTION",
        "slot: expected 'parameters', 'gradients', 'moment1' or 'moment2', got '" + name + "'", {{"option", "slot"}});
}

int64_t to_integer(const Napi::Object& options, const char* name, int64_t fallback, int64_t low, int64_t high) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined() && fallback >= low) return fallback;
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || std::floor(number) != number) {
    wrong(options.Env(), "ERR_OPTION",
          std::string(name) + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high),
          {{"option", name}});
  }
  return static_cast<int64_t>(number);
}

std::string to_string(const Napi::Value& value, const char* what) {
  if (!value.IsString())
    wrong(value.Env(), "ERR_OPTION", std::string(what) + ": expected a string", {{"option", what}});
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object to_object(const Napi::Value& value, const char* what) {
  if (!value.IsObject())
    wrong(value.Env(), "ERR_OPTION", std::string(what) + ": expected an object", {{"option", what}});
  return value.As<Napi::Object>();
}

Napi::Float32Array to_floats(const Napi::Value& value, const char* what) {
  if (!is_typed_array(value, napi_float32_array)) {
    wrong(value.Env(), "ERR_OPTION", std::string(what) + ": expected a Float32Array", {{"option", what}});
  }
  return value.As<Napi::Float32Array>();
}

Napi::Uint8Array to_bytes(const Napi::Value& value, const char* what) {
  if (!is_typed_array(value, napi_uint8_array)) {
    wrong(value.Env(), "ERR_OPTION", std::string(what) + ": expected a Uint8Array", {{"option", what}});
  }
  return value.As<Napi::Uint8Array>();
}

Napi::ArrayBuffer share(Napi::Env env, const std::shared_ptr<Arena>& arena, size_t bytes) {
  auto* owner = new std::shared_ptr<Arena>(arena);
  const auto release = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Arena>*>(hint); };
  napi_value result = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, arena->data(), bytes, release, owner, &result);
  if (status == napi_ok) return {env, result};
  delete owner;
  if (status != napi_no_external_buffers_allowed) throw Napi::Error::New(env);
  auto copy = Napi::ArrayBuffer::New(env, bytes);
  std::memcpy(copy.Data(), arena->data(), bytes);
  return copy;
}

Napi::Float32Array copy_floats(Napi::Env env, const float* data, size_t count) {
  auto array = Napi::Float32Array::New(env, count);
  if (count > 0) std::memcpy(array.Data(), data, count * sizeof(float));
  return array;
}

}  // namespace oa
