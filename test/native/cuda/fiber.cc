#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define STANDIN_STRING(x) #x
#define STANDIN_SYMBOL(prefix, name) STANDIN_STRING(prefix) #name
#define STANDIN_NAME(prefix, name) STANDIN_SYMBOL(prefix, name)
#define STANDIN_SWITCH STANDIN_NAME(__USER_LABEL_PREFIX__, standin_switch_stacks)

// Saves the registers that a callee must keep on the old stack, and takes them from the new one.
extern "C" void standin_switch_stacks(void** save, void* load);

#if defined(__x86_64__)
constexpr size_t kSavedBytes = 7 * 8;  // six registers and the return address
__asm__(".text\n.globl " STANDIN_SWITCH "\n" STANDIN_SWITCH
        ":\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
#elif defined(__aarch64__)
constexpr size_t kSavedBytes = 160;
__asm__(".text\n.globl " STANDIN_SWITCH "\n" STANDIN_SWITCH
        ":\n"
        "sub sp, sp, #160\n"
        "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\n"
        "stp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
        "stp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
        "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\n"
        "ldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\n"
        "add sp, sp, #160\nret\n");
#else
#error "The stand-ins switch stacks on x86-64 and arm64 only"
#endif

namespace standin {
namespace {

constexpr size_t kStackBytes = size_t{256} << 10;  // pages are taken when touched
constexpr size_t kGuardBytes = size_t{64} << 10;   // below the stack, not to be touched: deep recursion ends at once

thread_local Fiber* entering = nullptr;

}  // namespace

Fiber::Fiber() {
  void* const block = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  mprotect(block, kGuardBytes, PROT_NONE);
  stack_ = static_cast<char*>(block) + kGuardBytes;
}

Fiber::~Fiber() { munmap(stack_ - kGuardBytes, kStackBytes + kGuardBytes); }

void Fiber::start(const std::function<void()>* body) {
  body_ = body;
  ended_ = false;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_, kStackBytes);  // of frames that an earlier body left behind
  own_shadow_ = nullptr;
#endif
  // The first switch "returns" into enter(), with the stack aligned as behind a call.
  char* const top = stack_ + kStackBytes - 64;
  std::memset(top - kSavedBytes, 0, kSavedBytes + 64);
  void (*const target)() = &Fiber::enter;
#if defined(__x86_64__)
  char* const at = top - 8 - kSavedBytes;
  std::memset(at, 0, kSavedBytes);
  std::memcpy(at + kSavedBytes - 8, &target, 8);
  own_ = at;
#else
  char* const at = top - kSavedBytes;
  std::memcpy(at + 88, &target, 8);  // x30
  own_ = at;
#endif
}

void Fiber::enter() {
  Fiber* const self = entering;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->owner_bottom_, &self->owner_bytes_);
#endif
  self->run();
}

void Fiber::run() {
  try {
    (*body_)();
  } catch (const Left&) {
  }
  ended_ = true;
  for (;;) yield();
}

bool Fiber::resume() {
  entering = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&owner_shadow_, stack_, kStackBytes);
#endif
  standin_switch_stacks(&owner_, own_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(owner_shadow_, nullptr, nullptr);
#endif
  return ended_;
}

void Fiber::yield() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&own_shadow_, owner_bottom_, owner_bytes_);
#endif
  standin_switch_stacks(&own_, owner_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own_shadow_, &owner_bottom_, &owner_bytes_);
#endif
}

}  // namespace standin
