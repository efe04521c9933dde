// The documents of text files. NAME.jsonl and NAME.ndjson hold one JSON object in each line, with a text, or with a
// prompt and its completion:
//   {"text": "..."}      {"prompt": "...", "completion": "..."}
// A document of the second kind is the prompt and then the completion, nothing between them, of which only the
// completion is learnt. Any other file is text, one document, or several between separator lines. Each may be packed
// (byte_source.hpp), also with the ending .gz or .zst behind its name.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace rw {

struct DocumentOptions {
  // The line that stands between two documents of a text file ("%"; "" is a run of blank lines); it belongs to neither.
  bool separated = false;
  std::string separator = {};
  std::string text_key = {};  // of JSON lines: this text and no other; empty: "text", "content", or a pair
};

// A piece of a document: whole UTF-8 characters, without NUL. It ends where a text may be cut, or with the document, or
// (where there is no such place for a mebibyte) anywhere; or with a prompt, so that no token is partly of the prompt
// and partly of the completion.
struct TextPart {
  std::string text;  // empty only if it ends a document
  bool ends_document = false;
  bool begins_document = true;
  bool is_prompt = false;  // comes before everything else of its document
};

// The last place in a text that goes on where it may be cut; 0: none.
using FindCut = std::function<size_t(std::string_view)>;
size_t cut_before_space(std::string_view text);  // that follows another character

inline constexpr size_t kPartBytes = size_t{1} << 16;    // of a part, about
inline constexpr size_t kMaxJsonLine = size_t{1} << 28;  // bytes

// Calls on_part for the parts of all documents in order; memory does not grow with the file, but for a line of JSON.
// Documents without a byte are left out. Throws UserError(Exit::data), naming the file and the line or byte, if it is
// missing, empty, binary, not UTF-8, cut off, or a line of JSON is not an object with a text or a pair, or has both.
void read_documents(const std::filesystem::path& file, const DocumentOptions& options,
                    const std::function<void(TextPart)>& on_part, const FindCut& find_cut = cut_before_space);

}  // namespace rw
