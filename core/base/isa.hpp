// The CPU's instruction set, chosen at run time: one binary runs on every x86-64 machine.
#pragma once
#include <string>

namespace rw {

// Obeys ROPEWALK_ISA (sse, avx2, avx512: the best to be used; empty or absent: the machine's best) for Highway and
// oneDNN. Called before the first fast op; later calls do nothing. Throws UserError if the word is another one.
void limit_isa_once();

// The instruction set that Highway's loops use now: "AVX2", "AVX3", ...
std::string isa_name();

}  // namespace rw
