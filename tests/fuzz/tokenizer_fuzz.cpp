// JSON, and tokenizers made from files: what can be made takes texts apart and puts them together again.
#include "core/file/json.hpp"
#include "data/tokenizer/vocabulary.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  fuzz::Input input(data, size);
  const uint8_t choice = fuzz::take_choice(input, 3);
  const std::string_view text = fuzz::text_of(input);
  return fuzz::parse([&] {
    if (choice == 0) {
      parse_json("input", text);
      return;
    }
    const auto tokenizer = make_tokenizer({choice == 1 ? "tokenizer.json" : "tokenizer.model", std::string(text)});
    for (const std::string_view sample :
         {std::string_view(" It  was\n\ta truth, caf\u00e9 1813 \xFF\0", 32), text.substr(0, 64)})
      tokenizer->decode(tokenizer->encode(sample));
    make_tokenizer(tokenizer_file_of(vocabulary_of(*tokenizer)));
  });
}
