#include "tensor.h"

#include <cmath>
#include <cstring>

#include "block.h"

namespace standin {
namespace {

constexpr int kWarp = 32;

float widen(uint32_t bits) {
  bits <<= 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Of a pair, the element that comes first in memory, or the other.
float element(uint32_t pair, int which) { return widen(which == 0 ? pair & 0xffff : pair >> 16); }

struct Product {
  uint32_t a[4], b[2];
  float* c;
};

void multiply(void* const (&lanes)[kWarp]) {
  float a[16][16], b[16][8], c[16][8];
  const auto of = [&](int lane) -> Product& { return *static_cast<Product*>(lanes[lane]); };
  for (int lane = 0; lane < kWarp; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 2; ++i) {
      for (int r = 0; r < 4; ++r) a[g + r % 2 * 8][2 * t + i + r / 2 * 8] = element(of(lane).a[r], i);
      for (int r = 0; r < 2; ++r) b[2 * t + i + r * 8][g] = element(of(lane).b[r], i);
      for (int r = 0; r < 2; ++r) c[g + r * 8][2 * t + i] = of(lane).c[2 * r + i];
    }
  }
  for (int k = 0; k < 16; ++k) {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 8; ++n) c[m][n] = std::fma(a[m][k], b[k][n], c[m][n]);
    }
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) of(lane).c[i] = c[g + i / 2 * 8][2 * t + i % 2];
  }
}

struct Load {
  uint32_t* values;
  const void* row;
};

template <bool kTransposed>
void load(void* const (&lanes)[kWarp]) {
  uint16_t rows[kWarp][8];
  for (int lane = 0; lane < kWarp; ++lane) std::memcpy(rows[lane], static_cast<Load*>(lanes[lane])->row, 16);
  for (int lane = 0; lane < kWarp; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; ++i) {
      const uint32_t low = kTransposed ? rows[8 * i + 2 * t][g] : rows[8 * i + g][2 * t];
      const uint32_t high = kTransposed ? rows[8 * i + 2 * t + 1][g] : rows[8 * i + g][2 * t + 1];
      static_cast<Load*>(lanes[lane])->values[i] = low | high << 16;
    }
  }
}

}  // namespace

void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const char* file, int line) {
  Product product{{a[0], a[1], a[2], a[3]}, {b0, b1}, c};
  act_together(multiply, &product, file, line);
}

void load_matrices(uint32_t (&values)[4], const void* row, bool transposed, const char* file, int line) {
  note_warp_read(row);
  Load own{values, row};
  act_together(transposed ? load<true> : load<false>, &own, file, line);
}

}  // namespace standin
