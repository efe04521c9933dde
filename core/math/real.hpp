#pragma once
#include <cstdint>

namespace rw {

// A count as a factor of a formula; exact up to 2^53.
inline double real(int64_t n) { return static_cast<double>(n); }

}  // namespace rw
