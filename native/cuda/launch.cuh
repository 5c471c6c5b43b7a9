// The one way to start a kernel: launch(stream, {name, blocks, threads, shared bytes}, kernel, arguments...). The same
// call starts it on a GPU and under the stand-ins of test/native/cuda, which run each block on the CPU.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <tuple>
#include <type_traits>

#include "cuda/check.h"
#include "cuda/stream.h"

namespace oa::cuda {

constexpr int kWarp = 32;

struct Grid {
  const char* name;  // for errors
  dim3 blocks;       // any 0: nothing is started
  dim3 threads;      // a multiple of kWarp in all
  size_t shared_bytes = 0;
};

// Blocks of `size` that cover n.
inline unsigned blocks_for(int64_t n, int64_t size) { return static_cast<unsigned>((n + size - 1) / size); }

// Throws ERR_DEVICE naming the kernel. Arguments are copied at the call; under capture they are those of every replay,
// so what changes from step to step must come through memory.
template <class... Parameters>
void launch(Stream& stream, const Grid& grid, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
#ifdef OA_CUDA_STANDIN
  standin::launch(stream.handle(), grid.name, grid.blocks, grid.threads, grid.shared_bytes,
                  [=] { kernel(arguments...); });
#else
  constexpr size_t kSharedWithoutAsking = 48 << 10;
  const auto* const entry = reinterpret_cast<const void*>(kernel);
  if (grid.shared_bytes > kSharedWithoutAsking) {
    check(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes)),
          grid.name);
  }
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
  check(cudaLaunchKernel(entry, grid.blocks, grid.threads, pointers, grid.shared_bytes, stream.handle()), grid.name);
#endif
}

}  // namespace oa::cuda
