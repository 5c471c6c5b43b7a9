#include "ops/adamw.h"

#include "cpu/vec.h"
#include "ops/chunks.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kElements = 8192;

struct Element {
  Vec p, m, v;
};

OA_INLINE Element update(const AdamwFactors& f, float keep, Vec p, Vec m, Vec v, Vec gradient) {
  const Vec g = gradient * f.clip;
  m = fma(m, broadcast(f.old1), g * f.new1);
  v = fma(v, broadcast(f.old2), g * g * f.new2);
  p = p * keep - f.rate1 * m / fma(sqrt(v), broadcast(f.root2), broadcast(f.epsilon));
  return {p, m, v};
}

void update_range(const AdamwCall& a, const AdamwFactors& f, float keep, int64_t begin, int64_t end) {
  float* p = a.parameters;
  float* m = a.moment1;
  float* v = a.moment2;
  const float* g = a.gradients;
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    const Element e = update(f, keep, load(p + i), load(m + i), load(v + i), load(g + i));
    store(p + i, e.p);
    store(m + i, e.m);
    store(v + i, e.v);
  }
  if (i < end) {
    const int rest = static_cast<int>(end - i);
    const Element e = update(f, keep, load_partial(p + i, rest), load_partial(m + i, rest), load_partial(v + i, rest),
                             load_partial(g + i, rest));
    store_partial(p + i, e.p, rest);
    store_partial(m + i, e.m, rest);
    store_partial(v + i, e.v, rest);
  }
}

}  // namespace

const char* check_adamw(const Call& call) {
  if (!same_shape(call[1], call[0])) return "moment1 must have the shape of parameters";
  if (!same_shape(call[2], call[0])) return "moment2 must have the shape of parameters";
  if (!same_shape(call[3], call[0])) return "gradients must have the shape of parameters";
  if (!is_scalar(call[4])) return "norm must be a single number";
  const AdamwCall a(call);
  if (!(a.beta1 >= 0 && a.beta1 < 1)) return "beta1 must be at least 0 and less than 1";
  if (!(a.beta2 >= 0 && a.beta2 < 1)) return "beta2 must be at least 0 and less than 1";
  if (!(a.epsilon >= 0)) return "epsilon must not be negative";
  if (a.decayed < 0 || a.decayed > a.size) return "decayed must be a number of parameters";
  return nullptr;
}

int64_t scratch_adamw(const Call&) { return 0; }

void run_adamw(const Call& call) {
  const AdamwCall a(call);
  if (!__builtin_isfinite(*a.norm)) return;
  const AdamwFactors f(a, *call.scalars);
  call.pool->parallel_for(chunk_count(a.size, kElements), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, a.size);
    int64_t split = a.decayed < range.begin ? range.begin : a.decayed;
    if (split > range.end) split = range.end;
    update_range(a, f, f.keep, range.begin, split);
    update_range(a, f, 1, split, range.end);
  });
}

}  // namespace oa::OA_ISA
