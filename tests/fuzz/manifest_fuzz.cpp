// What describes a checkpoint: its manifest, with a seal that is right, and the JSON in it.
#include "core/base/check.hpp"
#include "core/file/hash.hpp"
#include "core/file/manifest.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "train/checkpoint/meta.hpp"
#include "train/checkpoint/model_json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rw;
  fuzz::Input input(data, size);
  const uint8_t choice = fuzz::take_choice(input, 4);
  const std::string text(fuzz::text_of(input));
  return fuzz::parse([&] {
    if (choice == 0) parse_manifest("input", text);
    if (choice == 1) {
      const std::string hash = hash_of(std::as_bytes(std::span(text)));
      const Manifest manifest = parse_manifest("input", text + "\"seal\": \"" + hash + "\"\n}\n");
      for (const ContainerEntry& e : manifest.entries)
        RW_CHECK(e.offset <= manifest.size && e.bytes <= manifest.size - e.offset, e.path, e.offset, e.bytes);
      const Manifest again = parse_manifest("input", to_text(manifest));
      RW_CHECK(again.entries.size() == manifest.entries.size() && again.hash == manifest.hash, manifest.hash);
    }
    if (choice == 2) model_from_json(text);
    if (choice == 3) model_from_json(parse_meta("input", text).model);
  });
}
