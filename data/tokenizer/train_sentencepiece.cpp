#include "data/tokenizer/train_sentencepiece.hpp"

#include <sentencepiece_trainer.h>

#include "core/base/check.hpp"
#include "core/base/user_error.hpp"
#include "data/tokenizer/kinds.hpp"
#include "data/tokenizer/sentencepiece_log.hpp"
#include "data/tokenizer/word_counts.hpp"

namespace rw {

namespace {

using Words = std::vector<std::pair<std::string, uint64_t>>;

// The words as SentencePiece takes them: "word<tab>count".
class WordIterator : public sentencepiece::SentenceIterator {
 public:
  explicit WordIterator(const Words& words) : words_(words) { print(); }
  bool done() const override { return at_ == words_.size(); }
  void Next() override {
    ++at_;
    print();
  }
  const std::string& value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void print() {
    if (!done()) value_ = words_[at_].first + '\t' + std::to_string(words_[at_].second);
  }
  const Words& words_;
  size_t at_ = 0;
  std::string value_;
};

std::string learn(const Words& words, int64_t vocab) {
  quiet_sentencepiece();
  WordIterator iterator(words);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train({{"model_type", "bpe"},
                                                                  {"vocab_size", std::to_string(vocab)},
                                                                  {"input_format", "tsv"},
                                                                  {"minloglevel", "3"},
                                                                  {"byte_fallback", "true"},
                                                                  {"normalization_rule_name", "identity"},
                                                                  {"remove_extra_whitespaces", "false"},
                                                                  {"add_dummy_prefix", "false"},
                                                                  {"allow_whitespace_only_pieces", "true"},
                                                                  {"split_digits", "true"},
                                                                  {"character_coverage", "1.0"},
                                                                  {"hard_vocab_limit", "false"},
                                                                  {"max_sentence_length", "65536"},
                                                                  {"num_threads", "1"},
                                                                  {"unk_id", "0"},
                                                                  {"bos_id", "1"},
                                                                  {"eos_id", "2"},
                                                                  {"pad_id", "-1"}},
                                                                 &iterator, &model);
  if (!status.ok()) throw Error("SentencePiece: " + status.ToString());
  return model;
}

}  // namespace

TrainedTokenizer train_sentencepiece(std::span<const std::filesystem::path> inputs, const DocumentOptions& documents,
                                     int64_t vocab) {
  if (vocab < kLeastVocab || vocab > kMostVocab)
    throw UserError(Exit::usage, "a vocabulary of " + std::to_string(vocab) + " cannot be learnt",
                    "it is to be from " + std::to_string(kLeastVocab) + " to " + std::to_string(kMostVocab) +
                        " (256 are the bytes); for the bytes alone nothing is learnt:  --tokenizer bytes");
  TrainedTokenizer result;
  WordCounts counts;
  for (const auto& input : inputs)
    read_documents(input, documents, [&](const TextPart& part) {
      counts.add(part.text);
      result.bytes += part.text.size();
      result.documents += part.ends_document;
    });
  const Words words = counts.words(static_cast<size_t>(vocab - 259) / 2);
  result.words = words.size();
  result.tokenizer = make_tokenizer({kSentencePieceFile, learn(words, vocab)});
  if (result.tokenizer->vocab() < vocab)
    throw UserError(Exit::data, "too little text for a vocabulary of " + std::to_string(vocab),
                    std::to_string(result.bytes) + " bytes give at most " + std::to_string(result.tokenizer->vocab()) +
                        " pieces\ntake more text, or:  --vocab " + std::to_string(result.tokenizer->vocab()));
  return result;
}

}  // namespace rw
