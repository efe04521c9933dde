// Text files to token files: OUT/train.h5, OUT/val.h5 if something is held out, and OUT/tokenizer/.
//
// A token file is a sealed container (core/file/container.hpp) with
//   /tokens        u16 [N] if vocab ≤ 65536, else u32 [N]   each document is document_start and then its tokens, so the
//                  target of a document's last token is document_start, "the end", and writing begins after it
//   /doc_starts    u64 [D]     the index of each document_start, ascending from 0
//   /meta          text, JSON  {format, version, vocab, document_start, tokenizer: {kind, hash, file}, bytes,
//   documents,
//                  tokens, sources: [{name, bytes, documents}], command}; bytes: of the text that the tokens stand for
//   /tokenizer/X   u8          the tokenizer's file X
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
             // train. A tail is a document of its own and begins with document_start.
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
  uint64_t bytes = 0;  // of the text
};
struct Prepared {
  PreparedSplit train, val;
};

inline constexpr uint64_t kShortestTail = 16;  // tokens

// Encodes on all threads; the files do not depend on their number. Memory does not grow with the text, but by 80 bytes
// a document and by the longest line of JSON. After an error OUT is as before. Throws UserError: Exit::data for the
// inputs, also if one is given twice or nothing is left for a split; Exit::write.
Prepared prepare(std::span<const std::filesystem::path> inputs, const Tokenizer& tokenizer,
                 const std::filesystem::path& out, const PrepareOptions& options);

}  // namespace rw
