// exp, tanh and the activations with their derivatives, on vectors. Largest errors against f64, measured: exp 1e-7
// relative, tanh 7e-8, GELU 4e-7 and its derivative 2e-7 absolute over [-8, 8].
#pragma once

#include "base/activations.h"
#include "cpu/vec.h"

namespace oa::OA_ISA {

enum Activation : int {
#define OA_ACTIVATION(code, name) activation_##name = code,
  OA_FOR_EACH_ACTIVATION(OA_ACTIVATION)
#undef OA_ACTIVATION
};

// e^x: 2^n · e^r with n the nearest integer to x / ln 2, and e^r - 1 - r by a polynomial (Cephes expf). The bounds make
// n end at -127 and 128, whose exponent bits are those of 0 and infinity: 0 below -87.7 (so e^-inf = 0; denormals are
// flushed anyway), infinity above 88.4, and no test is needed. NaN stays NaN.
OA_INLINE Vec exp(Vec x) {
  x = vmin(broadcast(89.0f), vmax(broadcast(-88.03f), x));  // the constant first: NaN passes
  const Vec rounder = broadcast(12582912.0f);  // 1.5 · 2^23: adding it leaves the nearest integer in the low bits
  const Vec shifted = fma(x, broadcast(1.44269504f), rounder);
  const Vec n = shifted - rounder;
  const Vec r = fma(n, broadcast(2.12194440e-4f), fma(n, broadcast(-0.693359375f), x));
  Vec p = fma(broadcast(1.9875691500e-4f), r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  return p * (Vec)(((IVec)shifted - (IVec)rounder + 127) << 23);
}

OA_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

OA_INLINE Vec absolute(Vec x) { return (Vec)((IVec)x & 0x7fffffff); }

// With the sign of `sign`; x not negative.
OA_INLINE Vec with_sign(Vec x, Vec sign) { return (Vec)((IVec)x | ((IVec)sign & INT32_MIN)); }

// Near zero 1 - 2 / (e^2x + 1) cancels, so there an odd polynomial takes over (Cephes tanhf).
OA_INLINE Vec tanh(Vec x) {
  const Vec z = absolute(x), square = x * x;
  const Vec far = with_sign(1.0f - 2.0f / (exp(z + z) + 1.0f), x);
  Vec p = fma(broadcast(-5.70498872745e-3f), square, broadcast(2.06390887954e-2f));
  p = fma(p, square, broadcast(-5.37397155531e-2f));
  p = fma(p, square, broadcast(1.33314422036e-1f));
  p = fma(p, square, broadcast(-3.33332819422e-1f));
  const Vec near = fma(p * square, x, x);
  return select(z < 0.625f, near, far);
}

// The normal distribution Φ(x) and its density φ(x) = e^(-x²/2) / √2π. Φ(-z) = t·P(t)·e^(-z²/2) for z >= 0 with
// t = 1 / (1 + 0.3 z), the form of Abramowitz & Stegun 26.2.17; P was fitted so that (1 + z) times the error of Φ stays
// under 9e-9. The density is what the derivative of GELU needs anyway.
OA_INLINE void normal_distribution(Vec x, Vec& cumulative, Vec& density) {
  const Vec z = absolute(x), t = 1.0f / fma(z, broadcast(0.3f), broadcast(1.0f));
  const Vec e = exp(x * x * -0.5f);
  Vec p = fma(broadcast(0.03477952256798744f), t, broadcast(-0.23217633366584778f));
  p = fma(p, t, broadcast(0.4973648190498352f));
  p = fma(p, t, broadcast(-0.2827624976634979f));
  p = fma(p, t, broadcast(0.28226980566978455f));
  p = fma(p, t, broadcast(0.07629888504743576f));
  p = fma(p, t, broadcast(0.12422578036785126f));
  const Vec tail = p * t * e;
  cumulative = select(x < 0.0f, tail, 1.0f - tail);
  density = e * 0.3989422804f;
}

// y = activation(u) and its derivative. GELU: u·Φ(u) (Hendrycks & Gimpel 2016), and their tanh form, written with
// the sigmoid since (1 + tanh v) / 2 = sigmoid(2v).
template <int kActivation>
OA_INLINE void activate(Vec u, Vec& y, Vec& derivative) {
  if constexpr (kActivation == activation_gelu) {
    Vec cumulative, density;
    normal_distribution(u, cumulative, density);
    y = u * cumulative;
    derivative = fma(u, density, cumulative);
  } else if constexpr (kActivation == activation_gelu_tanh) {
    const Vec near = vmin(broadcast(12.0f), vmax(broadcast(-12.0f), u));  // s is 0 or 1 there; u² stays finite
    const Vec square = near * near;
    const Vec s = sigmoid(near * fma(square, broadcast(0.0713548163f), broadcast(1.5957691216f)));  // 2 √(2/π)
    y = u * s;
    derivative = fma(near * s * (1.0f - s), fma(square, broadcast(0.2140644488f), broadcast(1.5957691216f)), s);
  } else if constexpr (kActivation == activation_relu) {
    const IVec positive = u > 0.0f;
    y = select(u < 0.0f, Vec{}, u);  // NaN stays NaN
    derivative = (Vec)(positive & (IVec)broadcast(1.0f));
  } else if constexpr (kActivation == activation_silu) {
    const Vec s = sigmoid(u);
    y = u * s;
    derivative = fma(y, 1.0f - s, s);
  } else if constexpr (kActivation == activation_tanh) {
    y = tanh(u);
    derivative = 1.0f - y * y;
  } else {
    y = u;
    derivative = broadcast(1.0f);
  }
}

template <int kActivation>
OA_INLINE Vec activate(Vec u) {
  Vec y, derivative;
  activate<kActivation>(u, y, derivative);
  return y;
}

// A number known to the compiler, carried by a type.
template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

// Calls f(Constant<activation>{}), so that the choice is made once, outside of f's loops:
//   with_activation(number, [&](auto activation) { ... activate<activation.value>(u) ... });
template <class F>
inline void with_activation(int activation, const F& f) {
  switch (activation) {
#define OA_ACTIVATION(code, name) \
  case code: return f(Constant<code>{});
    OA_FOR_EACH_ACTIVATION(OA_ACTIVATION)
#undef OA_ACTIVATION
  }
}

// The same for single vectors, where no loop is hot.
inline void activate(int activation, Vec u, Vec& y, Vec& derivative) {
  with_activation(activation, [&](auto chosen) { activate<chosen.value>(u, y, derivative); });
}

inline Vec activate(int activation, Vec u) {
  Vec y, derivative;
  activate(activation, u, y, derivative);
  return y;
}

}  // namespace oa::OA_ISA
