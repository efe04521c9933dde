// What a user can cause and mend: bad options, bad files, a full disk. Printed as
//   error: <what and where>
//          <why, and what to type>
// and ends the process with the exit code.
#pragma once
#include <stdexcept>
#include <string>

namespace rw {

enum class Exit : int {
  ok = 0,
  usage = 2,         // options or configuration
  data = 3,          // input data or its format
  memory = 4,        // not enough, estimated or real
  non_finite = 5,    // loss or gradient
  write = 6,         // no space, no permission, folder in use
  corrupt = 7,       // a damaged checkpoint or token file
  check = 8,         // what was to be checked does not hold
  internal = 70,     // our fault
  interrupted = 75,  // stopped by a signal or a STOP file; everything is saved
};

struct UserError : std::runtime_error {
  UserError(Exit code_, const std::string& what_and_where, std::string why_and_what_to_type = {})
      : std::runtime_error(what_and_where), code(code_), advice(std::move(why_and_what_to_type)) {}

  Exit code;
  std::string advice;  // lines separated by '\n'; may be empty
};

}  // namespace rw
