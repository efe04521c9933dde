// A file of safetensors: its tensors lie where they should, and every byte of them can be read.
#include "core/base/check.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "train/exchange/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  const fuzz::InputFile input({data, size});
  return fuzz::parse([&] {
    const SafetensorsFile file(input.path());
    uint64_t bytes = 0;
    for (const ForeignTensor& tensor : file.tensors()) {
      bytes += tensor.bytes.size();
      fuzz::touch(tensor.bytes);
    }
    RW_CHECK(bytes <= size, bytes, size);
  });
}
