#include "data/prepare.hpp"

#include <algorithm>
#include <exception>
#include <set>

#include "core/base/check.hpp"
#include "core/base/parallel.hpp"
#include "core/base/philox.hpp"
#include "core/base/user_error.hpp"
#include "core/file/atomic.hpp"
#include "core/file/container.hpp"
#include "core/file/manifest.hpp"
#include "data/corpus/utf8.hpp"
#include "data/token_meta.hpp"
#include "data/token_spool.hpp"

namespace rw {

namespace fs = std::filesystem;

namespace {

// A document, or a part of one, that goes into a split: ids [begin, end) of the spool.
struct Piece {
  uint64_t begin = 0, end = 0, bytes = 0;
  uint64_t prompt_tokens = 0, prompt_bytes = 0;  // the first of them
  uint32_t source = 0;
};

// Encodes parts in parallel and appends them in order.
class Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, TokenSpool& spool) : tokenizer_(tokenizer), spool_(spool) {}

  void add(TextPart part, uint32_t source) {
    waiting_ += part.text.size();
    parts_.push_back(std::move(part));
    sources_.push_back(source);
    if (waiting_ >= static_cast<size_t>(threads()) * 16 * kPartBytes || parts_.size() >= kMostWaiting) encode();
  }

  void encode() {
    std::vector<std::vector<int32_t>> ids(parts_.size());
    std::vector<std::exception_ptr> failures(parts_.size());
    parallel_for_uneven(static_cast<int64_t>(parts_.size()), [&](int64_t i) {
      const auto at = static_cast<size_t>(i);
      try {
        ids[at] = tokenizer_.encode_part(parts_[at].text, parts_[at].begins_document);
      } catch (...) {
        failures[at] = std::current_exception();
      }
    });
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (failures[i]) std::rethrow_exception(failures[i]);
      spool_.append(ids[i]);
      document_.bytes += parts_[i].text.size();
      if (parts_[i].is_prompt) {
        document_.prompt_tokens += ids[i].size();
        document_.prompt_bytes += parts_[i].text.size();
      }
      if (!parts_[i].ends_document) continue;
      document_.end = spool_.size(), document_.source = sources_[i];
      documents_.push_back(document_);
      document_ = {.begin = spool_.size()};
    }
    parts_.clear();
    sources_.clear();
    waiting_ = 0;
  }

  const std::vector<Piece>& documents() const { return documents_; }

 private:
  static constexpr size_t kMostWaiting = 16384;

  const Tokenizer& tokenizer_;
  TokenSpool& spool_;
  std::vector<TextPart> parts_;
  std::vector<uint32_t> sources_;
  size_t waiting_ = 0;  // bytes of parts_
  Piece document_;      // under way
  std::vector<Piece> documents_;
};

bool is_inside_character(const std::string& bytes) { return !bytes.empty() && is_utf8_continuation(bytes[0]); }

// Where the tail of `share` of a document begins, not inside a character; its end if there is to be no tail.
uint64_t tail_begin(const Piece& document, double share, TokenSpool& spool, const Tokenizer& tokenizer) {
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(document.end - document.begin));
  if (wanted < kShortestTail) return document.end;
  uint64_t at = document.end - wanted;
  for (int32_t id = 0; at < document.end; ++at) {
    spool.read(at, std::span(&id, 1));
    if (!is_inside_character(tokenizer.bytes(id))) break;
  }
  return at;
}

uint64_t count_bytes(uint64_t begin, uint64_t end, TokenSpool& spool, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids(std::min<uint64_t>(end - begin, 1 << 16));
  uint64_t bytes = 0;
  for (; begin < end; begin += ids.size()) {
    ids.resize(std::min<uint64_t>(end - begin, ids.size()));
    spool.read(begin, ids);
    for (int32_t id : ids) bytes += tokenizer.bytes(id).size();
  }
  return bytes;
}

struct Halves {
  std::vector<Piece> train, val;
};

// Documents from `inputs` on belong to the files held out.
Halves split(const std::vector<Piece>& documents, size_t inputs, const PrepareOptions& options, TokenSpool& spool,
             const Tokenizer& tokenizer) {
  Halves halves;
  for (size_t i = 0; i < documents.size(); ++i) {
    const Piece& whole = documents[i];
    if (whole.source >= inputs) {
      halves.val.push_back(whole);
    } else if (options.val == 0) {
      halves.train.push_back(whole);
    } else if (options.split == ValidationSplit::document || whole.prompt_tokens > 0) {
      const PhiloxCounter counter = {static_cast<uint32_t>(i), static_cast<uint32_t>(uint64_t{i} >> 32), 0,
                                     name_word("validation")};
      const PhiloxCounter random = philox(counter, philox_key(options.seed));
      (uniform(random[0], random[1]) <= options.val ? halves.val : halves.train).push_back(whole);
    } else {
      Piece head = whole, tail = whole;
      head.end = tail.begin = tail_begin(whole, options.val, spool, tokenizer);
      // A tokenizer that normalizes can give more bytes than the text has.
      tail.bytes = std::min(whole.bytes, count_bytes(tail.begin, tail.end, spool, tokenizer));
      head.bytes -= tail.bytes;
      if (head.begin < head.end) halves.train.push_back(head);
      if (tail.begin < tail.end) halves.val.push_back(tail);
    }
  }
  return halves;
}

// The ids of pieces one after the other, document_start before each.
class Gather {
 public:
  Gather(const std::vector<Piece>& pieces, TokenSpool& spool, int32_t document_start)
      : pieces_(pieces), spool_(spool), document_start_(document_start) {}

  void next(std::span<int32_t> to) {
    while (!to.empty()) {
      const Piece& piece = pieces_[piece_];
      if (at_ == 0) {
        to[0] = document_start_;
        to = to.subspan(1);
        at_ = 1;
      }
      const auto n = std::min<uint64_t>(to.size(), piece.end - piece.begin + 1 - at_);
      spool_.read(piece.begin + at_ - 1, to.first(n));
      to = to.subspan(n);
      at_ += n;
      if (at_ == piece.end - piece.begin + 1) {
        ++piece_;
        at_ = 0;
      }
    }
  }

 private:
  const std::vector<Piece>& pieces_;
  TokenSpool& spool_;
  int32_t document_start_;
  size_t piece_ = 0;
  uint64_t at_ = 0;  // in the piece, with document_start
};

PreparedSplit write_split(const fs::path& file, const std::vector<Piece>& pieces, std::span<const fs::path> names,
                          TokenSpool& spool, const Tokenizer& tokenizer, const std::string& command) {
  TokenMeta meta{.vocab = tokenizer.vocab(),
                 .document_start = tokenizer.document_start(),
                 .tokenizer_kind = std::string(tokenizer.kind()),
                 .tokenizer_hash = tokenizer.hash(),
                 .tokenizer_file = tokenizer.file().name,
                 .documents = pieces.size(),
                 .sources = {},
                 .command = command};
  std::vector<TokenSource> sources;
  for (const fs::path& name : names) sources.push_back({name.string(), 0, 0});
  std::vector<uint64_t> starts, prompt_tokens;
  for (const Piece& piece : pieces) {
    starts.push_back(meta.tokens);
    prompt_tokens.push_back(piece.prompt_tokens);
    meta.tokens += piece.end - piece.begin + 1;
    meta.prompt_tokens += piece.prompt_tokens;
    meta.bytes += piece.bytes - piece.prompt_bytes;
    sources[piece.source].bytes += piece.bytes;
    sources[piece.source].documents += 1;
  }
  for (const TokenSource& source : sources)
    if (source.documents > 0) meta.sources.push_back(source);

  Gather gather(pieces, spool, tokenizer.document_start());
  const auto fill = [&](uint64_t, std::span<std::byte> block) {
    std::vector<int32_t> ids(block.size() / (spool.wide() ? 4 : 2));
    gather.next(ids);
    if (spool.wide())
      std::ranges::copy(std::as_bytes(std::span(ids)), block.begin());
    else
      std::ranges::transform(ids, reinterpret_cast<uint16_t*>(block.data()),
                             [](int32_t id) { return static_cast<uint16_t>(id); });
  };
  const std::string text = to_text(meta);
  const auto of_each = [](const char* path, const std::vector<uint64_t>& values) {
    return ContainerItem{path, FileType::u64, {values.size()}, std::as_bytes(std::span(values)), {}};
  };
  std::vector<ContainerItem> items = {
      {"/tokens", spool.wide() ? FileType::u32 : FileType::u16, {meta.tokens}, {}, fill},
      of_each("/doc_starts", starts),
      text_item("/meta", text),
      {"/tokenizer/" + tokenizer.file().name,
       FileType::u8,
       {tokenizer.file().bytes.size()},
       std::as_bytes(std::span(tokenizer.file().bytes)),
       {}}};
  if (meta.prompt_tokens > 0) items.push_back(of_each("/prompt_tokens", prompt_tokens));
  write_container(file, items);
  return {meta.tokens, meta.documents, meta.bytes, meta.prompt_tokens};
}

void check_options(std::span<const fs::path> inputs, const fs::path& out, const PrepareOptions& options) {
  RW_CHECK(options.val >= 0 && options.val < 1, options.val);
  if (inputs.empty())
    throw UserError(Exit::usage, "nothing to prepare",
                    "name text files:  ropewalk data prepare --tokenizer TOK --out data TEXT...");
  std::set<fs::path> seen;
  for (const auto& files : {inputs, std::span<const fs::path>(options.val_files)})
    for (const fs::path& file : files)
      if (!seen.insert(fs::weakly_canonical(file)).second)
        throw UserError(Exit::data, file.string() + " is given twice",
                        "its text would count twice, or be in train and in val");
  for (const char* name : {"train.h5", "val.h5"})
    if (!options.overwrite && fs::exists(out / name))
      throw UserError(Exit::write, (out / name).string() + " exists",
                      "choose another folder, or replace it:  --overwrite");
}

void check_halves(const Halves& halves, const std::vector<Piece>& documents, const PrepareOptions& options) {
  const std::string count = std::to_string(documents.size());
  if (halves.train.empty())
    throw UserError(Exit::data, "nothing is left to train on",
                    "all " + count + " documents are held out\nhold out less, for instance --val 5%");
  if ((options.val == 0 && options.val_files.empty()) || !halves.val.empty()) return;
  const bool drawn = std::ranges::any_of(documents, [](const Piece& d) { return d.prompt_tokens > 0; });
  if (options.split == ValidationSplit::tail && !drawn)
    throw UserError(Exit::data, "nothing is held out: all documents are too short to be cut",
                    "hold out whole documents:  --split document");
  throw UserError(Exit::data, "nothing is held out: none of " + count + " documents was drawn",
                  drawn ? "hold out more, for instance --val 20%"
                        : "hold out the end of each document:  --split tail   or more:  --val 20%");
}

void remove_pair(const fs::path& file) {
  std::error_code ignored;
  fs::remove(file, ignored);
  fs::remove(manifest_name(file), ignored);
}

}  // namespace

Prepared prepare(std::span<const fs::path> inputs, const Tokenizer& tokenizer, const fs::path& out,
                 const PrepareOptions& options) {
  check_options(inputs, out, options);
  const bool is_new = !fs::exists(out);
  const fs::path folder = temporary_name(out / "prepare");
  try {
    create_folders(folder);
    TokenSpool spool(folder, tokenizer.vocab() > 65536);
    Encoder encoder(tokenizer, spool);
    std::vector<fs::path> names(inputs.begin(), inputs.end());
    names.insert(names.end(), options.val_files.begin(), options.val_files.end());
    const auto find_cut = [&](std::string_view text) { return tokenizer.cut(text); };
    for (uint32_t i = 0; i < names.size(); ++i)
      read_documents(
          names[i], options.documents, [&](TextPart part) { encoder.add(std::move(part), i); }, find_cut);
    encoder.encode();
    spool.flush();
    const Halves halves = split(encoder.documents(), inputs.size(), options, spool, tokenizer);
    check_halves(halves, encoder.documents(), options);

    Prepared done;
    done.train = write_split(folder / "train.h5", halves.train, names, spool, tokenizer, options.command);
    if (!halves.val.empty())
      done.val = write_split(folder / "val.h5", halves.val, names, spool, tokenizer, options.command);
    save_tokenizer(tokenizer.file(), folder / "tokenizer");

    // All is written. What stood here goes first, so that files of two preparations never stand side by side.
    for (const char* name : {"train.h5", "val.h5"}) remove_pair(out / name);
    replace_folder(folder / "tokenizer", out / "tokenizer");
    for (const char* name : {"val.h5", "train.h5"}) {
      if (!fs::exists(folder / name)) continue;
      move(manifest_name(folder / name), manifest_name(out / name));
      move(folder / name, out / name);
    }
    fs::remove_all(folder);
    return done;
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    if (is_new) fs::remove(out, ignored);  // if nothing is in it
    throw;
  }
}

}  // namespace rw
