#pragma once
#include <cstdint>

namespace rw {

// The target of a position that is neither learnt from nor scored.
inline constexpr int32_t kIgnore = -1;

}  // namespace rw
