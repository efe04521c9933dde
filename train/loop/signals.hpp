// SIGINT, SIGTERM and SIGUSR1 ask a run to save and stop; it ends with Exit::interrupted. A further one changes
// nothing, so a save that is under way is finished.
#pragma once

namespace rw {

// While one lives, the signals are noted and do nothing else; and after it, if one came: what it asked for is done, and
// a further one may not spoil how the process ends. To be made by the thread that starts parallel_for.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
};

int interrupted();                    // the first such signal since the StopSignals was made; 0 if there was none
const char* signal_name(int signal);  // "SIGINT", ...

}  // namespace rw
