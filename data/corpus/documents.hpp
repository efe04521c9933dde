// The documents of text files. NAME.jsonl and NAME.ndjson hold one JSON object with a text in each line; any other file
// is text, one document, or several between separator lines. Each may be packed (byte_source.hpp), also with the ending
// .gz or .zst behind its name.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace rw {

struct DocumentOptions {
  // The line that stands between two documents of a text file ("%"; "" is a run of blank lines); it belongs to neither.
  bool separated = false;
  std::string separator = {};
  std::string text_key = {};  // of JSON lines; empty: "text", or else "content"
};

// A piece of a document: whole UTF-8 characters, without NUL. It ends before a space that follows another character, or
// with the document, or (where no space comes for a long time) anywhere: a place that no SentencePiece crosses.
struct TextPart {
  std::string text;  // empty only if it ends a document
  bool ends_document = false;
};

inline constexpr size_t kPartBytes = size_t{1} << 16;    // of a part, about
inline constexpr size_t kMaxJsonLine = size_t{1} << 28;  // bytes

// Calls on_part for the parts of all documents in order; memory does not grow with the file, but for a line of JSON.
// Documents without a byte are left out. Throws UserError(Exit::data), naming the file and the line or byte, if it is
// missing, empty, binary, not UTF-8, cut off, or a line of JSON is not an object with a text.
void read_documents(const std::filesystem::path& file, const DocumentOptions& options,
                    const std::function<void(TextPart)>& on_part);

}  // namespace rw
