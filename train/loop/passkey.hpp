// Passkey retrieval: a key lies somewhere in a long text, and is asked for at its end. It tells whether a model reaches
// back so far, which losses of natural text hardly show. A text for a length L, depth D and trial i:
//
//   haystack up to D · needle · haystack from D · question · key         L + 1 tokens, of which the model reads L
//
//   text   needle    The pass key is 71432. Remember it. 71432 is the pass key.     on a line of its own
//          question  What is the pass key? The pass key is                          and a document start before it all
//   ids    needle    a marker of 5 random ids and the key, 5 more;  question: the marker again.  What has learned to
//                    copy solves it, and there need be no tokenizer.
//
// The haystack is natural text: a stretch of the data, without the tokens that documents begin with, cut at D times its
// length. Key, marker and haystack depend on seed and trial only, so that the cells of a table differ in length and
// depth and nothing else. A key is found if each of its tokens is the likeliest id after what is before it: exactly
// then would greedy decoding write it. As small models find no key, there is the loss of its tokens too.
//
// Source   Mohtashami and Jaggi, Landmark attention, 2023, arXiv 2305.16300.
#pragma once
#include <optional>

#include "data/token_data.hpp"
#include "layers/transformer/model.hpp"

namespace rw {

enum class PasskeyForm { text, ids };

struct PasskeyOptions {
  std::vector<int64_t> lengths{};                  // L: ascending
  std::vector<double> depths{0, .25, .5, .75, 1};  // D: in [0, 1], ascending
  int64_t trials = 10;                             // of each length and depth
  uint64_t seed = 1;
};

struct PasskeyText {
  std::vector<int32_t> ids;            // L + 1
  int64_t needle = 0, needle_end = 0;  // where it stands
  int64_t key = 0;                     // tokens of the key, the last ones
};

struct PasskeyResult {
  std::vector<std::vector<double>> accuracy, loss;  // by depth and length: share of keys found, nats per token of them
};

class Passkey {
 public:
  // Text if there is a tokenizer, else ids. UserError: Exit::usage for lengths, depths or trials that are none, out of
  // range or not ascending, and a shortest length without room for needle, question and one more token; Exit::data for
  // data without enough tokens, and a tokenizer that cannot write digits.
  Passkey(const TokenData& data, const Tokenizer* tokenizer, PasskeyOptions options);

  const PasskeyOptions& options() const { return options_; }
  PasskeyText text(int64_t length, double depth, int64_t trial) const;
  // With the model's positions as they are. They are prepared for each length, and left prepared for the last.
  PasskeyResult run(Model& model) const;

 private:
  using Ids = std::vector<int32_t>;
  struct Parts {
    Ids before, needle, question, key;
    int64_t size() const { return static_cast<int64_t>(before.size() + needle.size() + question.size() + key.size()); }
  };
  Parts text_parts(const Tokenizer& tokenizer, int64_t trial) const;
  Parts id_parts(int64_t trial) const;
  Ids haystack(int64_t count, int64_t trial) const;

  const TokenData* data_;
  PasskeyOptions options_;
  std::vector<Parts> parts_;  // of each trial
};

}  // namespace rw
