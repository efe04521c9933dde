#include "train/loop/signals.hpp"

#include <signal.h>

#include <atomic>

#include "core/base/check.hpp"

namespace rw {

namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGUSR1};

std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free);  // else a handler could wait for itself
std::atomic<bool> living{false};
struct sigaction before[std::size(kSignals)];

void note(int signal) {
  int none = 0;
  noted.compare_exchange_strong(none, signal);
}

}  // namespace

StopSignals::StopSignals() {
  RW_CHECK(!living.exchange(true));
  noted = 0;
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;  // a save that is under way sees no EINTR
  ::sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &action, &before[i]);
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &before[i], nullptr);
  living = false;
}

int interrupted() { return noted; }

const char* signal_name(int signal) {
  return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : signal == SIGUSR1 ? "SIGUSR1" : "a signal";
}

}  // namespace rw
