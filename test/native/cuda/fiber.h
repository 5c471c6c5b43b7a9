// Cooperative threads of execution on one system thread: each has a stack of its own and runs until it gives way.
#pragma once

#include <cstddef>
#include <functional>

namespace standin {

class Fiber {
 public:
  // Thrown by a body that cannot go on: it ends there.
  struct Left {};

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs `body` from its beginning at the next resume. What an earlier body left on the stack is dropped.
  void start(const std::function<void()>* body);

  // From the owner: runs the body until it gives way or ends. True when it has ended.
  bool resume();

  // From inside the body: back to the owner.
  void yield();

 private:
  static void enter();
  void run();

  char* stack_;
  void* own_ = nullptr;  // stack pointers
  void* owner_ = nullptr;
  void* own_shadow_ = nullptr;  // AddressSanitizer's
  void* owner_shadow_ = nullptr;
  const void* owner_bottom_ = nullptr;
  size_t owner_bytes_ = 0;
  const std::function<void()>* body_ = nullptr;
  bool ended_ = true;
};

}  // namespace standin
