// A small tokenizer and a small text for tests of what builds on them.
#pragma once
#include <random>

#include "data/tokenizer/train_sentencepiece.hpp"
#include "tests/support/files.hpp"

namespace rw::test {

inline constexpr int64_t kSmallVocab = 400;

// Lines of words, the short ones more frequent, with a digit, a quote or an umlaut here and there.
inline std::string some_text(unsigned seed, size_t bytes) {
  static const std::string words[] = {"the",        "a",       "of",     "and",  "quick", "brown",  "fox",
                                      "jumps",      "over",    "lazy",   "dog",  "while", "rain",   "falls",
                                      "in",         "42",      "places", "Emma", "could", "remain", "\"no\"",
                                      "f\xC3\xBCr", "morning", "walks",  "home", "slowly"};
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    const size_t most = 1 + random() % std::size(words);
    text += words[random() % most];
    text += random() % 12 == 0 ? (random() % 4 == 0 ? ".\n\n" : ",\n") : " ";
  }
  return text;
}

inline TokenizerFile small_sentencepiece() {
  static const TokenizerFile file = [] {
    const TemporaryFolder folder;
    write_file(folder / "a.txt", some_text(7, 30'000));
    const std::vector<std::filesystem::path> files = {folder / "a.txt"};
    return train_sentencepiece(files, {}, kSmallVocab).tokenizer->file();
  }();
  return file;
}

}  // namespace rw::test
