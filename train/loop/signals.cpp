#include "train/loop/signals.hpp"

#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>

#include "core/base/check.hpp"
#include "core/base/parallel.hpp"

namespace rw {

namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGUSR1};

std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free);  // else a handler could wait for itself
std::atomic<bool> living{false};

// What the signals did before, and on which stack.
struct Before {
  std::array<struct sigaction, std::size(kSignals)> actions{};
  stack_t stack{};
};
Before before;
bool handled = false;  // by note(), also while none is living

// oneDNN's matrix multiplication keeps other things in the stack pointer: a handler that ran on the stack at hand would
// write into the heap. So it has its own, which only the thread that trains knows; no other one is to see the signals.
alignas(64) char handler_stack[64 << 10];

void note(int signal) {
  int none = 0;
  noted.compare_exchange_strong(none, signal);
}

void keep_from_workers() {
  sigset_t all;
  ::sigemptyset(&all);
  for (int signal : kSignals) ::sigaddset(&all, signal);
  const pthread_t self = ::pthread_self();
  parallel_for(threads(), [&](int64_t) {
    if (!::pthread_equal(self, ::pthread_self())) ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  });
}

void install() {
  keep_from_workers();
  const stack_t own = {.ss_sp = handler_stack, .ss_flags = 0, .ss_size = sizeof handler_stack};
  RW_CHECK(::sigaltstack(&own, &before.stack) == 0, errno);
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART | SA_ONSTACK;  // a save that is under way sees no EINTR
  ::sigemptyset(&action.sa_mask);
  for (int signal : kSignals) ::sigaddset(&action.sa_mask, signal);
  for (size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &action, &before.actions[i]);
  handled = true;
}

void uninstall() {
  for (size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &before.actions[i], nullptr);
  ::sigaltstack(&before.stack, nullptr);
  handled = false;
}

}  // namespace

StopSignals::StopSignals() {
  RW_CHECK(!living.exchange(true));
  noted = 0;
  if (!handled) install();
}

StopSignals::~StopSignals() {
  if (noted == 0) uninstall();
  living = false;
}

int interrupted() { return noted; }

const char* signal_name(int signal) {
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : signal == SIGUSR1 ? "SIGUSR1" : "a signal";
}

}  // namespace rw
