// A GGUF file: as a container, whose bytes can all be read, and as a model with a tokenizer.
#include "core/base/check.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "train/exchange/foreign_model.hpp"
#include "train/exchange/gguf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  const fuzz::InputFile input({data, size});
  fuzz::parse([&] {
    const GgufFile file(input.path());
    uint64_t bytes = 0;
    for (const ForeignTensor& tensor : file.tensors()) {
      bytes += tensor.bytes.size();
      fuzz::touch(tensor.bytes);
    }
    RW_CHECK(bytes <= size, bytes, size);
  });
  return fuzz::parse([&] {
    const ForeignModel model = read_gguf(input.path());
    // Tables of rotation are as large as the trained context, whatever the file is.
    if (model.config.context * model.config.head_width < 1 << 20) instantiate(model);
  });
}
