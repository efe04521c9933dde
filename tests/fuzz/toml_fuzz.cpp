// Settings in TOML.
#include "tests/fuzz/fuzz.hpp"
#include "train/config/validate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  return fuzz::parse([&] {
    const ConfigLayer layers[] = {parse_toml(fuzz::text_of({data, size}), "input.toml")};
    std::vector<UserError> problems;
    problems_of(resolve(layers, &problems));
  });
}
