// What eval --context-sweep --json printed, as report --with reads it, and the page made of it.
#include "tests/fuzz/fuzz.hpp"
#include "train/report/sections.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  return fuzz::parse([&] {
    const report::SweepFile files[] = {report::parse_sweep_file("input.json", fuzz::text_of({data, size}))};
    report::sweeps_section(files);
    report::passkeys_section(files);
  });
}
