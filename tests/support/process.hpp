// Runs a program as a user does: arguments, environment, standard input, a time limit; what it printed and how it
// ended.
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace rw::test {

struct ProcessOptions {
  std::map<std::string, std::string> environment{};  // added to this process's, or in the place of its variables
  std::string input{};                               // standard input
  std::filesystem::path folder{};                    // to run in; empty: this one
  double timeout = 60;                               // seconds, then it is killed
  std::filesystem::path output{};                    // where standard output goes, if not to Finished::out
};

struct Finished {
  int exit = -1;   // -1 if a signal ended it
  int signal = 0;  // which one
  bool timed_out = false;
  double seconds = 0;
  std::string out, err;
};

// A started program. Ends with this object: killed if it still runs.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command, ProcessOptions options = {})
      : options_(std::move(options)) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::array<std::array<int, 2>, 3> pipes{};
    for (auto& pipe : pipes)
      if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    id_ = ::fork();
    if (id_ < 0) throw std::runtime_error("fork");
    if (id_ == 0) {
      int out = pipes[1][1];
      if (!options_.output.empty()) out = ::open(options_.output.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
      ::dup2(pipes[0][0], 0);
      ::dup2(out, 1);
      ::dup2(pipes[2][1], 2);
      if (!options_.folder.empty() && ::chdir(options_.folder.c_str()) != 0) ::_exit(127);
      for (const auto& [name, value] : options_.environment) ::setenv(name.c_str(), value.c_str(), 1);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(pipes[0][0]);
    ::close(pipes[1][1]);
    ::close(pipes[2][1]);
    ends_ = {pipes[0][1], pipes[1][0], pipes[2][0]};
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  ~Process() {
    for (int& end : ends_) close_end(end);
    if (id_ > 0) ::kill(id_, SIGKILL), ::waitpid(id_, nullptr, 0);
  }
  Process(const Process&) = delete;

  void send(int signal) const { ::kill(id_, signal); }
  void close_output() { close_end(ends_[1]); }  // as a reader that has seen enough

  // Until it ends, or its time is over.
  Finished wait() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
    const auto old = ::signal(SIGPIPE, SIG_IGN);
    Finished done;
    size_t sent = 0;
    while (ends_[1] >= 0 || ends_[2] >= 0) {
      if (sent == options_.input.size()) close_end(ends_[0]);
      std::array<pollfd, 3> events = {pollfd{ends_[0], POLLOUT, 0}, {ends_[1], POLLIN, 0}, {ends_[2], POLLIN, 0}};
      ::poll(events.data(), events.size(), 50);
      if (events[0].revents) {
        const ssize_t n = ::write(ends_[0], options_.input.data() + sent, options_.input.size() - sent);
        if (n >= 0)
          sent += static_cast<size_t>(n);
        else if (errno != EAGAIN)
          close_end(ends_[0]);  // it does not read on
      }
      if (events[1].revents) take(ends_[1], done.out);
      if (events[2].revents) take(ends_[2], done.err);
      if (seconds() > options_.timeout && !done.timed_out) {
        done.timed_out = true;
        ::kill(id_, SIGKILL);
      }
    }
    int status = 0;
    ::waitpid(id_, &status, 0);
    id_ = -1;
    ::signal(SIGPIPE, old);
    if (WIFEXITED(status)) done.exit = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) done.signal = WTERMSIG(status);
    done.seconds = seconds();
    return done;
  }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  static void take(int& end, std::string& to) {
    std::array<char, 65536> bytes;
    const ssize_t n = ::read(end, bytes.data(), bytes.size());
    if (n > 0)
      to.append(bytes.data(), static_cast<size_t>(n));
    else if (n == 0 || errno != EINTR)
      close_end(end);
  }

  ProcessOptions options_;
  pid_t id_ = -1;
  std::array<int, 3> ends_ = {-1, -1, -1};  // of its standard input, output and error
};

// The program under test, with these arguments.
inline std::vector<std::string> ropewalk(const std::vector<std::string>& arguments) {
  const char* binary = std::getenv("ROPEWALK_BINARY");
  if (!binary) throw std::runtime_error("ROPEWALK_BINARY is not set");
  std::vector<std::string> command = {binary};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}
inline Finished run(const std::vector<std::string>& arguments, ProcessOptions options = {}) {
  return Process(ropewalk(arguments), std::move(options)).wait();
}

}  // namespace rw::test
