// Dropout masks from Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a number is a
// function of (seed, step, rng, stream, element), so backward makes the same mask again and threads do not matter.
// key = (seed low, seed high); counter = (element / 4, step, rng, stream); the element's lane is element % 4.
#pragma once

#include "base/step.h"
#include "cpu/vec.h"

namespace oa::OA_ISA {

namespace philox {
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;
}  // namespace philox

// One block of four numbers, as the paper writes it: the reference of DropoutStream.
inline void philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t numbers[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < philox::kRounds; ++round) {
    const uint64_t p0 = uint64_t{philox::kMultiplier0} * c0, p1 = uint64_t{philox::kMultiplier1} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += philox::kWeyl0;
    k1 += philox::kWeyl1;
  }
  numbers[0] = c0, numbers[1] = c1, numbers[2] = c2, numbers[3] = c3;
}

// The masks of one dropout: multipliers, 0 where the number is under p·2^32 and 1 / (1 - p) elsewhere. 0 <= p < 1.
class DropoutStream {
 public:
  DropoutStream(float p, uint32_t rng, const StepScalars& scalars, uint32_t stream)
      : threshold_(static_cast<uint32_t>(static_cast<double>(p) * 4294967296.0)), scale_(1.0f / (1.0f - p)) {
    const uint32_t key[2] = {static_cast<uint32_t>(scalars.seed), static_cast<uint32_t>(scalars.seed >> 32)};
    for (int i = 0; i < kLanes; i += 4) {
      counter_[i] = static_cast<uint32_t>(i) / 4, counter_[i + 1] = scalars.step;
      counter_[i + 2] = rng, counter_[i + 3] = stream;
      key_[i] = key[0], key_[i + 2] = key[1];
      weyl_[i] = philox::kWeyl0, weyl_[i + 2] = philox::kWeyl1;
      multiplier_[i] = philox::kMultiplier0, multiplier_[i + 2] = philox::kMultiplier1;
      first_[i] = 1;
    }
  }

  // Multipliers of the elements [element, element + kLanes); element >= 0. Quick where element is a multiple of 4;
  // elsewhere two vectors are made and a window of them returned.
  Vec mask(int64_t element) const {
    const uint32_t block = static_cast<uint32_t>(element >> 2);
    const int lane = static_cast<int>(element & 3);
    if (lane == 0) return mask_of_blocks(block);
    float both[2 * kLanes];
    store(both, mask_of_blocks(block));
    store(both + kLanes, mask_of_blocks(block + kLanes / 4));
    return load(both + lane);
  }

  // One element's multiplier.
  float mask_one(int64_t element) const {
    const uint32_t counter[4] = {static_cast<uint32_t>(element >> 2), counter_[1], counter_[2], counter_[3]};
    const uint32_t key[2] = {key_[0], key_[2]};
    uint32_t numbers[4];
    philox_block(counter, key, numbers);
    return numbers[element & 3] >= threshold_ ? scale_ : 0.0f;
  }

 private:
  // A block lies in four neighbouring lanes, so its numbers come out in the order of the elements, and one widening
  // multiplication of the even lanes makes both products of a round: (low0, high0, low1, high1). The next block is
  // that reversed, (high1, low1, high0, low0), with the odd lanes of the old one and the key on its even lanes.
  Vec mask_of_blocks(uint32_t block) const {
    UVec c = counter_ + first_ * block, key = key_;
#pragma GCC unroll 10
    for (int round = 0; round < philox::kRounds; ++round) {
      const UVec product = mul_even(c, multiplier_);
      c = reverse_fours(product) ^ odd_to_even(c) ^ key;
      key += weyl_;
    }
    const IVec keep = c >= threshold_;
    return (Vec)(keep & (IVec)broadcast(scale_));
  }

  using Wide = uint64_t __attribute__((vector_size(4 * kLanes)));
  OA_INLINE static UVec odd_to_even(UVec v) { return (UVec)((Wide)v >> 32); }  // little endian, zeros in odd lanes

  UVec counter_{}, key_{}, weyl_{}, multiplier_{}, first_{};
  uint32_t threshold_;
  float scale_;
};

}  // namespace oa::OA_ISA
