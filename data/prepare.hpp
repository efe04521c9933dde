// Text files to token files: OUT/train.h5, OUT/val.h5 if something is held out, and OUT/tokenizer/.
//
// A token file is a sealed container (core/file/container.hpp) with
//   /tokens        u16 [N] if vocab ≤ 65536, else u32 [N]   each document is document_start and then its tokens, so the
//                  target of a document's last token is document_start, "the end", and writing begins after it
//   /doc_starts    u64 [D]     the index of each document_start, ascending from 0
//   /prompt_tokens u64 [D]     of each document, how many tokens after document_start are prompt; absent if none are
//   /meta          text, JSON  {format, version, vocab, document_start, tokenizer: {kind, hash, file}, bytes,
//                  documents, tokens, prompt_tokens, sources: [{name, bytes, documents}], command}
//   /tokenizer/X   u8          the tokenizer's file X
//
// Loss mask. A document that is a prompt and its completion (documents.hpp) is
//   document_start, encode(prompt), encode_part(completion, false)
// so that no token crosses the border, as none does where a model goes on from a prompt. Tokens of a prompt are read,
// but are nobody's target: the loss counts the completion's tokens and the end, which is the next document's
// document_start. In a text every token is a target.
// bytes of /meta is the text that targets stand for, without prompts, so that nats of all targets / bytes makes sense;
// bytes of a source is all of its text. version is 2 if there are prompts (then prompt_tokens is their number), else 1.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/corpus/documents.hpp"
#include "data/tokenizer/tokenizer.hpp"

namespace rw {

enum class ValidationSplit {
  tail,      // the last tokens of every document, cut between characters; a document too short for that stays whole in
             // train. A tail is a document of its own and begins with document_start. A prompt and its completion are
             // not cut, but drawn as by `document`.
  document,  // whole documents, drawn by seed and index
};

struct PrepareOptions {
  DocumentOptions documents = {};
  double val = 0;  // share held out, in [0, 1); 0: none
  ValidationSplit split = ValidationSplit::tail;
  std::vector<std::filesystem::path> val_files = {};  // held out besides, or instead
  uint64_t seed = 1;
  std::string command = {};  // kept in /meta
  bool overwrite = false;    // else token files in OUT are not replaced
};

struct PreparedSplit {
  uint64_t tokens = 0;  // with document_start
  uint64_t documents = 0;
  uint64_t bytes = 0;          // of the text, without prompts
  uint64_t prompt_tokens = 0;  // among tokens
};
struct Prepared {
  PreparedSplit train, val;
};

inline constexpr uint64_t kShortestTail = 16;  // tokens

// Encodes on all threads; the files do not depend on their number. Memory does not grow with the text, but by 112 bytes
// a document and by the longest line of JSON. After an error OUT is as before. Throws UserError: Exit::data for the
// inputs, also if one is given twice or nothing is left for a split; Exit::write.
Prepared prepare(std::span<const std::filesystem::path> inputs, const Tokenizer& tokenizer,
                 const std::filesystem::path& out, const PrepareOptions& options);

}  // namespace rw
