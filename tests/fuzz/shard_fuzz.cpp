// Files of token ids, of llm.c and nanoGPT: what can be opened has no id outside of its vocabulary.
#include "core/base/check.hpp"
#include "data/token_data.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  fuzz::Input input(data, size);
  constexpr int64_t kVocabs[] = {0, 256, 50257, 65536};
  const int64_t vocab = kVocabs[fuzz::take_choice(input, 4)];
  const fuzz::InputFile file(input);
  return fuzz::parse([&] {
    const TokenData tokens = TokenData::open(file.path(), Split::train, vocab);
    for (uint64_t i = 0; i < tokens.size(); ++i) {
      const int32_t id = tokens.token(i);
      RW_CHECK(id >= 0 && id < tokens.vocab(), i, id);
      RW_CHECK(tokens.document_start_of(i) <= i, i);
    }
  });
}
