#pragma once
// Threads of a block as fibers: they run one after the other, each until it waits. Used by gpu_executor.h.
//
//   Fibers fibers(256);
//   fibers.Run([&](int thread) { ... fibers.WaitUntil([&] { return ready; }, "at a barrier"); ... });
//
// When no fiber can go on, those that wait are told so by an exception, GpuFault; whatever a body throws ends the run
// and is thrown by Run.

#include <ucontext.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/testing/sanitized.h"

#if ECLD_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

namespace ecld {

// A mistake of a kernel which the executor found.
struct GpuFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Fibers {
 public:
  explicit Fibers(int count) : fibers_(static_cast<size_t>(count)) {
    for (auto& fiber : fibers_) fiber.stack = std::make_unique<char[]>(kStack);
  }

  // backwards: the last thread goes first, in every round.
  void Run(const std::function<void(int thread)>& body, bool backwards = false) {
    body_ = &body;
    failure_ = nullptr;
    for (size_t i = 0; i < fibers_.size(); ++i) Prepare(i);
    for (bool progress = true; progress;) {
      progress = false;
      for (size_t i = 0; i < fibers_.size(); ++i) {
        Fiber& fiber = fibers_[backwards ? fibers_.size() - 1 - i : i];
        if (fiber.done || (fiber.ready && !failure_ && !stuck_ && !fiber.ready())) continue;
        progress = true;
        Enter(fiber);
      }
      if (!progress && Waiting() > 0) progress = stuck_ = true;
    }
    stuck_ = false;
    if (failure_) std::rethrow_exception(failure_);
  }

  // From inside a body: lets others run until ready() holds. where: for the message when that never happens.
  template <class Ready>
  void WaitUntil(Ready ready, const char* where) {
    if (ready()) return;
    Fiber& self = *current_;
    self.ready = ready;
    self.where = where;
    Leave(self);
    self.ready = nullptr;
    if (failure_) throw Stopped{};
    if (stuck_) {
      std::string message = "thread " + std::to_string(&self - fibers_.data()) + " waits " + where + " for ever";
      for (const Fiber& other : fibers_)
        if (other.done || other.where != where) {
          message += "; thread " + std::to_string(&other - fibers_.data()) +
                     (other.done ? " has ended" : std::string(" waits ") + other.where);
          break;
        }
      throw GpuFault(message);
    }
  }

 private:
  static constexpr size_t kStack = 256 << 10;
  struct Stopped {};  // another thread failed

  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    std::function<bool()> ready;
    const char* where = "";
    bool done = true;
  };

  int Waiting() const {
    int waiting = 0;
    for (const Fiber& fiber : fibers_) waiting += !fiber.done;
    return waiting;
  }

  void Prepare(size_t index) {
    Fiber& fiber = fibers_[index];
    fiber.done = false;
    fiber.ready = nullptr;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    const auto self = reinterpret_cast<uintptr_t>(this);
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(Start), 3, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self), static_cast<unsigned>(index));
  }

  static void Start(unsigned high, unsigned low, unsigned index) {
    auto* fibers = reinterpret_cast<Fibers*>(static_cast<uintptr_t>(high) << 32 | low);
    fibers->Entered(nullptr);
    try {
      (*fibers->body_)(static_cast<int>(index));
    } catch (const Stopped&) {
    } catch (...) {
      if (!fibers->failure_) fibers->failure_ = std::current_exception();
    }
    fibers->fibers_[index].done = true;
    fibers->Leave(fibers->fibers_[index]);
  }

  // AddressSanitizer must be told which stack is in use.
  void Enter(Fiber& fiber) {
    current_ = &fiber;
#if ECLD_ADDRESS_SANITIZER
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fiber.stack.get(), kStack);
    swapcontext(&scheduler_, &fiber.context);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    swapcontext(&scheduler_, &fiber.context);
#endif
  }

  void Leave(Fiber& fiber) {
#if ECLD_ADDRESS_SANITIZER
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(fiber.done ? nullptr : &fake, scheduler_stack_, scheduler_size_);
    swapcontext(&fiber.context, &scheduler_);
    Entered(fake);
#else
    swapcontext(&fiber.context, &scheduler_);
#endif
  }

  void Entered([[maybe_unused]] void* fake) {
#if ECLD_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack_, &scheduler_size_);
#endif
  }

  std::vector<Fiber> fibers_;
  ucontext_t scheduler_;
  Fiber* current_ = nullptr;
  const std::function<void(int)>* body_ = nullptr;
  std::exception_ptr failure_;
  bool stuck_ = false;
#if ECLD_ADDRESS_SANITIZER
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_size_ = 0;
#endif
};

}  // namespace ecld
