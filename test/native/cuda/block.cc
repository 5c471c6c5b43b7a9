#include "block.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "fiber.h"

namespace standin {
namespace {

constexpr int kWarp = 32;
constexpr size_t kMostBytes = 16;  // of a lane's value in an exchange
constexpr size_t kCopyBytes = 16;  // of a copy to shared memory
constexpr unsigned kWholeWarp = 0xffffffffu;
constexpr int kNobody = -1;
constexpr int kMany = -2;

std::string text(Index3 i) {
  return "(" + std::to_string(i.x) + ", " + std::to_string(i.y) + ", " + std::to_string(i.z) + ")";
}

enum class State { ready, at_block_barrier, at_warp_barrier, ended };

// What a lane that waits in an exchange gives and wants; both lie on its stack.
struct Lane {
  const void* own = nullptr;
  void* other = nullptr;
  int source = 0;
};

// What lanes do where they meet: all must do the same.
struct Operation {
  size_t bytes = 0;        // of the values of an exchange; 0: a barrier, or
  Together act = nullptr;  // what all do as one,
  const char* file = "";   // at one place
  int line = 0;

  bool operator==(const Operation& other) const {
    return bytes == other.bytes && act == other.act && line == other.line && std::strcmp(file, other.file) == 0;
  }
};

struct Warp {
  unsigned mask = 0;  // of the meeting under way; 0: none
  unsigned arrived = 0;
  Operation operation;
  uint32_t barriers = 0;  // of the whole warp so far: they order its accesses, while a shuffle orders nothing
  Lane lanes[kWarp];
};

// A copy on its way to shared memory.
struct Copy {
  size_t offset;  // of its 16 bytes
  const void* source;
  size_t bytes;
  unsigned char seen[16];  // of the source when it was asked for
};
using Group = std::vector<Copy>;

struct Thread {
  ThreadState state;
  int number = 0;
  State waiting = State::ready;
  const char* file = nullptr;  // of the barrier it waits at
  int line = 0;
  Group copies;              // not committed
  std::deque<Group> groups;  // committed, the oldest first
};

// Who touched an element of shared memory last, and when. Two threads may meet at an element without a block barrier
// between only by reading, or when both are of one warp with a warp barrier between.
struct Touch {
  int thread = kNobody;  // or kMany
  int warp = kNobody;    // or kMany
  uint32_t block_barriers = 0;
  uint32_t warp_barriers = 0;

  bool is_recent(uint32_t barriers) const { return thread != kNobody && block_barriers == barriers; }
};
struct Element {
  Touch write;
  Touch read;
  bool written = false;
  int copied_by = kNobody;  // by a copy under way
};

// For whom an access is.
enum class For { thread, warp };

constexpr size_t kElementBytes = 2;  // the smallest type that kernels keep in shared memory

class Block {
 public:
  static thread_local Block* current;

  void run(const char* kernel, Index3 grid, Index3 size, Index3 index, size_t shared_bytes,
           const std::function<void()>& body, std::mt19937_64* order);

  Thread& thread() { return *running_; }
  ThreadState& outside() { return outside_; }
  void meet_block(const char* file, int line);
  void meet_warp(unsigned mask, const Operation& operation, const Lane& lane);
  void* shared(size_t bytes);
  void note(const void* at, size_t bytes, bool writes, For reader = For::thread);
  void copy(void* target, const void* source, size_t bytes);
  void commit();
  void wait_for_copies(size_t groups_under_way);
  [[noreturn]] void fail(const std::string& what);

 private:
  void prepare(Index3 grid, Index3 size, Index3 index, size_t shared_bytes);
  void resume(int number);
  void pass_block_barrier();
  void pass_warp(Warp& warp, int last);
  [[noreturn]] void report_stuck();
  void check(Element& element, size_t offset, bool writes, For reader);
  size_t offset_of(const void* at, size_t bytes);
  void deliver(const Copy& copy);
  static std::string name(const Thread& thread) { return "thread " + text(thread.state.thread); }

  const char* kernel_ = "";
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<int> ready_;
  std::unique_ptr<unsigned char[]> shared_;  // exactly as long as asked for: sanitizers see what lies behind
  size_t shared_bytes_ = 0;
  std::vector<Element> elements_;
  uint32_t barriers_ = 0;
  int waiting_ = 0, ended_ = 0;
  Thread* running_ = nullptr;
  ThreadState outside_;
  std::string problem_;
};

thread_local Block* Block::current = nullptr;
thread_local std::unique_ptr<Block> block;
thread_local std::mt19937_64 orders;
thread_local bool ordered = false;

void Block::prepare(Index3 grid, Index3 size, Index3 index, size_t shared_bytes) {
  const int count = static_cast<int>(size.x * size.y * size.z);
  threads_.assign(static_cast<size_t>(count), {});
  warps_.assign(static_cast<size_t>((count + kWarp - 1) / kWarp), {});
  while (static_cast<int>(fibers_.size()) < count) fibers_.push_back(std::make_unique<Fiber>());
  for (int i = 0; i < count; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    const auto n = static_cast<unsigned>(i);
    thread.state = {{n % size.x, n / size.x % size.y, n / size.x / size.y}, index, size, grid};
    thread.number = i;
  }
  if (shared_bytes_ != shared_bytes || !shared_) {
    shared_.reset(new unsigned char[shared_bytes]);
    shared_bytes_ = shared_bytes;
  }
  std::memset(shared_.get(), 0xff, shared_bytes);  // floats: NaN
  elements_.assign(shared_bytes / kElementBytes + 1, {});
  barriers_ = 0;
  waiting_ = ended_ = 0;
}

void Block::run(const char* kernel, Index3 grid, Index3 size, Index3 index, size_t shared_bytes,
                const std::function<void()>& body, std::mt19937_64* order) {
  kernel_ = kernel;
  problem_.clear();
  prepare(grid, size, index, shared_bytes);
  ready_.resize(threads_.size());
  for (size_t i = 0; i < ready_.size(); ++i) ready_[i] = static_cast<int>(i);
  for (size_t i = 0; i < ready_.size(); ++i) fibers_[i]->start(&body);
  Block* const before = current;
  current = this;
  std::vector<int> turn;
  while (problem_.empty() && ended_ < static_cast<int>(threads_.size())) {
    turn.swap(ready_);
    ready_.clear();
    if (turn.empty()) {
      if (waiting_ == static_cast<int>(threads_.size())) {
        pass_block_barrier();
        continue;
      }
      try {
        report_stuck();
      } catch (...) {
        current = before;
        throw;
      }
    }
    if (order) std::shuffle(turn.begin(), turn.end(), *order);
    for (const int number : turn) {
      resume(number);
      if (!problem_.empty()) break;
    }
  }
  current = before;
  if (!problem_.empty()) throw Fault(problem_);
}

void Block::resume(int number) {
  running_ = &threads_[static_cast<size_t>(number)];
  if (fibers_[static_cast<size_t>(number)]->resume()) {
    running_->waiting = State::ended;
    ++ended_;
    const auto is_empty = [](const Group& group) { return group.empty(); };
    const auto& groups = running_->groups;
    if (problem_.empty() && !(is_empty(running_->copies) && std::all_of(groups.begin(), groups.end(), is_empty))) {
      problem_ = std::string("kernel ") + kernel_ + ": " + name(*running_) +
                 " leaves while copies of it to shared memory are under way";
    }
  }
  running_ = nullptr;
}

void Block::pass_block_barrier() {
  for (Thread& thread : threads_) {
    if (thread.line != threads_[0].line || std::strcmp(thread.file, threads_[0].file) != 0) {
      problem_ = std::string("kernel ") + kernel_ + ": " + name(threads_[0]) + " waits at the barrier of " +
                 threads_[0].file + ":" + std::to_string(threads_[0].line) + ", but " + name(thread) + " at that of " +
                 thread.file + ":" + std::to_string(thread.line);
      return;
    }
    thread.waiting = State::ready;
    ready_.push_back(thread.number);
  }
  ++barriers_;
  waiting_ = 0;
}

void Block::report_stuck() {
  std::string problem = std::string("kernel ") + kernel_ + " hangs in block " + text(threads_[0].state.block) + ":";
  int shown = 0;
  for (const Thread& thread : threads_) {
    if (thread.waiting == State::ended || shown == 3) continue;
    ++shown;
    const Warp& warp = warps_[static_cast<size_t>(thread.number / kWarp)];
    char mask[32];
    std::snprintf(mask, sizeof mask, "%08x, arrived %08x", warp.mask, warp.arrived);
    problem += " " + name(thread) +
               (thread.waiting == State::at_block_barrier
                    ? " waits at the block barrier of line " + std::to_string(thread.line)
                    : std::string(" waits for its warp, mask ") + mask) +
               ";";
  }
  problem += " " + std::to_string(ended_) + " of " + std::to_string(threads_.size()) + " threads have left the kernel";
  throw Fault(problem);
}

void Block::fail(const std::string& what) {
  problem_ = std::string("kernel ") + kernel_ + ", block " + text(running_->state.block) + ", " + name(*running_) +
             ": " + what;
  throw Fiber::Left();
}

void Block::meet_block(const char* file, int line) {
  Thread& self = thread();
  self.waiting = State::at_block_barrier;
  self.file = file;
  self.line = line;
  ++waiting_;
  fibers_[static_cast<size_t>(self.number)]->yield();
}

void Block::meet_warp(unsigned mask, const Operation& operation, const Lane& brought) {
  Thread& self = thread();
  Warp& warp = warps_[static_cast<size_t>(self.number / kWarp)];
  const int lane = self.number % kWarp, source = brought.source;
  if (!(mask >> lane & 1)) fail("takes part in a warp operation whose mask leaves its lane out");
  if (warp.mask != 0 && warp.mask != mask) fail("names another mask than the lanes that wait in its warp");
  if (warp.mask != 0 && !(warp.operation == operation)) {
    fail("meets lanes of its warp in another operation than its own");
  }
  if (source >= kWarp || source < 0 || !(mask >> source & 1)) fail("reads the value of a lane outside of the mask");
  warp.mask = mask;
  warp.operation = operation;
  warp.arrived |= 1u << lane;
  warp.lanes[lane] = brought;
  if (warp.arrived == mask) return pass_warp(warp, self.number);
  self.waiting = State::at_warp_barrier;
  fibers_[static_cast<size_t>(self.number)]->yield();
}

// The last to arrive hands every lane its value, before any of them goes on.
void Block::pass_warp(Warp& warp, int last) {
  const int first = last / kWarp * kWarp;
  const Operation& operation = warp.operation;
  if (operation.act) {
    void* lanes[kWarp];
    for (int i = 0; i < kWarp; ++i) lanes[i] = warp.lanes[i].other;
    operation.act(lanes);
  }
  for (int i = 0; i < kWarp; ++i) {
    if (!(warp.mask >> i & 1)) continue;
    const Lane& lane = warp.lanes[i];
    if (operation.bytes > 0) std::memcpy(lane.other, warp.lanes[lane.source].own, operation.bytes);
    if (first + i == last) continue;
    threads_[static_cast<size_t>(first + i)].waiting = State::ready;
    ready_.push_back(first + i);
  }
  if (operation == Operation{} && warp.mask == kWholeWarp) ++warp.barriers;
  warp.mask = warp.arrived = 0;
}

void* Block::shared(size_t bytes) {
  if (bytes != shared_bytes_) {
    fail("uses " + std::to_string(bytes) + " bytes of shared memory, but was launched with " +
         std::to_string(shared_bytes_));
  }
  return shared_.get();
}

void Block::check(Element& element, size_t offset, bool writes, For reader) {
  const Thread& self = thread();
  const int warp = self.number / kWarp;
  const uint32_t barriers = warps_[static_cast<size_t>(warp)].barriers;
  const auto is_before = [&](const Touch& touch) { return touch.warp == warp && touch.warp_barriers != barriers; };
  const auto is_own = [&](const Touch& touch) { return reader == For::thread && touch.thread == self.number; };
  const auto meets = [&](const Touch& touch) {
    return touch.is_recent(barriers_) && !is_own(touch) && !is_before(touch);
  };
  const auto race = [&](const Touch& touch, const char* did) {
    const std::string by =
        touch.thread == kMany ? "several threads" : name(threads_[static_cast<size_t>(touch.thread)]);
    fail(std::string("race in shared memory at byte ") + std::to_string(offset) + ": it " +
         (writes ? "writes" : "reads") + " what " + by + " " + did + " without a barrier between");
  };
  if (element.copied_by != kNobody) {
    fail(std::string(writes ? "writes" : "reads") + " shared memory at byte " + std::to_string(offset) +
         " while a copy to it by " + name(threads_[static_cast<size_t>(element.copied_by)]) +
         " is under way: it has not waited for it");
  }
  if (!writes && !element.written) {
    fail("reads shared memory at byte " + std::to_string(offset) + " that no thread has written");
  }
  if (meets(element.write)) race(element.write, "wrote");
  if (writes && meets(element.read)) race(element.read, "read");
  Touch& touch = writes ? element.write : element.read;
  if (!writes && (meets(touch) || reader == For::warp)) {
    const bool is_other = meets(touch) && touch.warp != warp;
    touch = {kMany, is_other ? kMany : warp, barriers_, barriers};
  } else {
    touch = {self.number, warp, barriers_, barriers};
  }
  element.written |= writes;
}

size_t Block::offset_of(const void* at, size_t bytes) {
  const size_t offset = static_cast<size_t>(static_cast<const unsigned char*>(at) - shared_.get());
  if (offset > shared_bytes_ || offset + bytes > shared_bytes_) fail("leaves the block's shared memory");
  return offset;
}

void Block::note(const void* at, size_t bytes, bool writes, For reader) {
  const size_t offset = offset_of(at, bytes);
  for (size_t i = 0; i < bytes; i += kElementBytes) {
    check(elements_[(offset + i) / kElementBytes], offset + i, writes, reader);
  }
}

void Block::copy(void* target, const void* source, size_t bytes) {
  const size_t offset = offset_of(target, kCopyBytes);
  if (bytes > kCopyBytes) fail("copies more than 16 bytes at a time to shared memory");
  if (offset % kCopyBytes != 0) fail("copies to shared memory that is not aligned to 16 bytes");
  if (reinterpret_cast<uintptr_t>(source) % kCopyBytes != 0) fail("copies from memory that is not aligned to 16 bytes");
  note(target, kCopyBytes, true);
  Copy copy{offset, source, bytes, {}};
  if (bytes > 0) std::memcpy(copy.seen, source, bytes);
  for (size_t i = 0; i < kCopyBytes; i += kElementBytes) {
    elements_[(offset + i) / kElementBytes].copied_by = thread().number;
  }
  std::memset(shared_.get() + offset, 0xff, kCopyBytes);
  thread().copies.push_back(copy);
}

void Block::commit() {
  thread().groups.push_back(std::move(thread().copies));
  thread().copies.clear();
}

void Block::wait_for_copies(size_t groups_under_way) {
  auto& groups = thread().groups;
  for (; groups.size() > groups_under_way; groups.pop_front()) {
    for (const Copy& copy : groups.front()) deliver(copy);
  }
}

// Data come at the latest possible moment, and count as written then.
void Block::deliver(const Copy& copy) {
  if (copy.bytes > 0 && std::memcmp(copy.seen, copy.source, copy.bytes) != 0) {
    fail("copied memory that changed while the copy was under way");
  }
  for (size_t i = 0; i < kCopyBytes; i += kElementBytes) {
    elements_[(copy.offset + i) / kElementBytes].copied_by = kNobody;
  }
  unsigned char* const target = shared_.get() + copy.offset;
  note(target, kCopyBytes, true);
  std::memset(target, 0, kCopyBytes);
  if (copy.bytes > 0) std::memcpy(target, copy.source, copy.bytes);
}

}  // namespace

ThreadState& this_thread() { return Block::current->thread().state; }

void set_order(uint64_t seed) {
  ordered = seed != 0;
  orders.seed(seed);
}

void run_grid(const char* kernel, Index3 blocks, Index3 threads, size_t shared_bytes,
              const std::function<void()>& body) {
  constexpr unsigned kMostThreads = 1024;
  constexpr size_t kMostShared = 227 << 10;  // of an H100; 163 KiB on sm_80
  const unsigned count = threads.x * threads.y * threads.z;
  const auto refuse = [&](const std::string& what) { throw Fault(std::string("kernel ") + kernel + ": " + what); };
  if (count == 0 || count > kMostThreads) refuse("a block of " + std::to_string(count) + " threads");
  if (count % kWarp != 0) refuse("a block of " + std::to_string(count) + " threads is no whole number of warps");
  if (blocks.y > 65535 || blocks.z > 65535) refuse("a grid of " + text(blocks) + " blocks");
  if (shared_bytes > kMostShared) refuse(std::to_string(shared_bytes) + " bytes of shared memory");
  if (!block) block = std::make_unique<Block>();
  std::vector<uint64_t> order(size_t{blocks.x} * blocks.y * blocks.z);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (ordered) std::shuffle(order.begin(), order.end(), orders);
  for (const uint64_t n : order) {
    const Index3 index{static_cast<unsigned>(n % blocks.x), static_cast<unsigned>(n / blocks.x % blocks.y),
                       static_cast<unsigned>(n / blocks.x / blocks.y)};
    block->run(kernel, blocks, threads, index, shared_bytes, body, ordered ? &orders : nullptr);
  }
}

void block_barrier(const char* file, int line) { Block::current->meet_block(file, line); }
void warp_barrier(unsigned mask) {
  Block::current->meet_warp(mask, {}, {nullptr, nullptr, Block::current->thread().number % kWarp});
}
void act_together(Together act, void* lane, const char* file, int line) {
  Block::current->meet_warp(kWholeWarp, {0, act, file, line}, {nullptr, lane, 0});
}
void exchange(unsigned mask, const void* own, void* other, int source, size_t bytes) {
  if (bytes > kMostBytes) fault("exchanges more than 16 bytes in a warp");
  Block::current->meet_warp(mask, {.bytes = bytes}, {own, other, source});
}
void* shared_memory(size_t bytes) { return Block::current->shared(bytes); }
void note_read(const void* at, size_t bytes) { Block::current->note(at, bytes, false); }
void note_write(const void* at, size_t bytes) { Block::current->note(at, bytes, true); }
void note_warp_read(const void* at) {
  if (reinterpret_cast<uintptr_t>(at) % 16 != 0) fault("reads a row of a matrix that is not aligned to 16 bytes");
  Block::current->note(at, 16, false, For::warp);
}
void copy_async(void* target, const void* source, size_t bytes) { Block::current->copy(target, source, bytes); }
void commit_copies() { Block::current->commit(); }
void wait_for_copies(int groups_under_way) { Block::current->wait_for_copies(static_cast<size_t>(groups_under_way)); }
void fault(const std::string& what) { Block::current->fail(what); }

}  // namespace standin
