// The sanitizer that a test is compiled for. What a sanitizer finds does not depend on numbers: tests that do one thing
// many times, each time with other numbers, do it less often there, where each time takes ten times as long.
#pragma once

namespace rw::test {

inline constexpr bool kAddressSanitizer =
#ifdef __SANITIZE_ADDRESS__
    true;
#else
    false;
#endif

inline constexpr bool kThreadSanitizer =
#ifdef __SANITIZE_THREAD__
    true;
#else
    false;
#endif

inline constexpr bool kSanitizer = kAddressSanitizer || kThreadSanitizer;

}  // namespace rw::test
