#include <CLI/CLI.hpp>
#include <charconv>

#include "core/file/json.hpp"
#include "data/tokenizer/train_sentencepiece.hpp"
#include "train/cli/text_options.hpp"
#include "train/loop/run_folder.hpp"

namespace rw::cli {
namespace {

constexpr uint64_t kMeasured = 8'000'000;  // bytes of text

struct Train {
  TextOptions text;
  std::string out;
  int64_t vocab = 4096;
  bool overwrite = false;

  void add_options(CLI::App& app) {
    text.add(app);
    add_number(app, "--vocab", vocab, Unit::length, "number of tokens");
    app.add_option("--out", out, "folder for the tokenizer")->required();
    app.add_flag("--overwrite", overwrite, "replace the tokenizer in it");
  }

  Exit run(const Global& global) {
    const auto file = std::filesystem::path(out) / "tokenizer.model";
    if (!overwrite && std::filesystem::exists(file))
      throw UserError(Exit::write, file.string() + " exists", "choose another folder, or replace it:  --overwrite");
    const TrainedTokenizer trained = train_sentencepiece(text.paths(), text.documents(), vocab);
    try {
      save_tokenizer(trained.tokenizer->file(), out);
    } catch (...) {
      std::error_code ignored;
      std::filesystem::remove(out, ignored);  // if nothing is in it
      throw;
    }
    const double per_token = bytes_per_token(*trained.tokenizer);
    if (global.json) {
      print(OrderedJson{{"file", file.string()},
                        {"hash", trained.tokenizer->hash()},
                        {"vocab", vocab},
                        {"bytes", trained.bytes},
                        {"documents", trained.documents},
                        {"words", trained.words},
                        {"bytes_per_token", per_token}}
                .dump() +
            "\n");
      return Exit::ok;
    }
    std::vector<std::string> next = {"ropewalk", "data", "prepare", "--tokenizer", out, "--out", "data", "--val", "5%"};
    if (!text.separator.empty()) next.insert(next.end(), {"--document-separator", text.separator});
    constexpr size_t kShown = 4;  // files
    const size_t shown = std::min(text.files.size(), kShown);
    next.insert(next.end(), text.files.begin(), text.files.begin() + static_cast<ptrdiff_t>(shown));
    print("read " + byte_text(trained.bytes) + ", " + grouped(trained.documents) + " documents, " +
          grouped(trained.words) + " distinct words\nwrote " + file.string() + "   " +
          grouped(static_cast<uint64_t>(vocab)) + " tokens, " + fixed(per_token, 2) +
          " bytes/token on the input\nnext: " + shell_line(next) + "\n");
    return Exit::ok;
  }

 private:
  // On the first kMeasured bytes.
  double bytes_per_token(const Tokenizer& tokenizer) const {
    uint64_t bytes = 0, tokens = 0;
    for (const auto& file : text.paths()) {
      if (bytes >= kMeasured) break;
      read_documents(file, text.documents(), [&](const TextPart& part) {
        if (bytes >= kMeasured) return;
        bytes += part.text.size();
        tokens += tokenizer.encode_part(part.text, part.begins_document).size();
      });
    }
    return static_cast<double>(bytes) / static_cast<double>(std::max<uint64_t>(tokens, 1));
  }
};

struct Encode {
  std::string tokenizer, text;
  bool pieces = false;

  void add_options(CLI::App& app) {
    app.add_option("TOKENIZER", tokenizer, "folder or file of a tokenizer, a run, or: bytes")->required();
    app.add_option("TEXT", text, "the text; else standard input is read");
    app.add_flag("--pieces", pieces, "show what each token stands for");
  }

  Exit run(const Global& global) {
    const auto made = load_tokenizer(tokenizer);
    const auto ids = made->encode(text.empty() ? read_standard_input() : text);
    OrderedJson shown = OrderedJson::array();
    std::string out;
    for (int32_t id : ids) {
      shown.push_back({{"id", id}, {"piece", made->piece(id)}});
      out +=
          pieces ? std::to_string(id) + "\t" + made->piece(id) + "\n" : (out.empty() ? "" : " ") + std::to_string(id);
    }
    if (global.json)
      print((pieces ? shown : OrderedJson(ids)).dump() + "\n");
    else
      print(pieces ? out : out + "\n");
    return Exit::ok;
  }
};

struct Decode {
  std::string tokenizer;
  std::vector<std::string> ids;

  void add_options(CLI::App& app) {
    app.add_option("TOKENIZER", tokenizer, "folder or file of a tokenizer, a run, or: bytes")->required();
    app.add_option("ID", ids, "token ids; else they are read from standard input");
  }

  Exit run(const Global&) {
    const auto made = load_tokenizer(tokenizer);
    std::vector<std::string> words = ids;
    if (words.empty()) {
      std::istringstream in(read_standard_input());
      for (std::string word; in >> word;) words.push_back(word);
    }
    std::vector<int32_t> numbers;
    for (const std::string& word : words) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
      if (error != std::errc() || end != word.data() + word.size() || id < 0 || id >= made->vocab())
        throw UserError(
            Exit::usage, "'" + word + "' is not a token id",
            "ids of this tokenizer are 0 to " + std::to_string(made->vocab() - 1) + ", with spaces between");
      numbers.push_back(id);
    }
    print(made->decode(numbers));
    return Exit::ok;
  }
};

struct TokenizerInfo {
  std::string tokenizer;
  bool pieces = false;

  void add_options(CLI::App& app) {
    app.add_option("TOKENIZER", tokenizer, "folder or file of a tokenizer, a run, or: bytes")->required();
    app.add_flag("--pieces", pieces, "list all tokens");
  }

  Exit run(const Global& global) {
    const auto made = load_tokenizer(tokenizer);
    size_t longest = 0;
    for (int32_t id = 0; id < made->vocab(); ++id) longest = std::max(longest, made->bytes(id).size());
    if (global.json) {
      OrderedJson out = {{"kind", made->kind()},
                         {"vocab", made->vocab()},
                         {"hash", made->hash()},
                         {"document_start", made->document_start()},
                         {"longest", longest}};
      if (pieces)
        for (int32_t id = 0; id < made->vocab(); ++id) out["pieces"].push_back(made->piece(id));
      print(out.dump() + "\n");
      return Exit::ok;
    }
    std::string out = "kind            " + std::string(made->kind()) + "\nvocab           " +
                      grouped(static_cast<uint64_t>(made->vocab())) + "\nhash            " + made->hash() +
                      "\ndocument start  " + std::to_string(made->document_start()) + " (" +
                      made->piece(made->document_start()) + ")\nlongest token   " + std::to_string(longest) +
                      " bytes\n";
    for (int32_t id = 0; pieces && id < made->vocab(); ++id) out += std::to_string(id) + "\t" + made->piece(id) + "\n";
    print(out);
    return Exit::ok;
  }
};

}  // namespace

Command tokenizer_train_command() {
  return make_command<Train>("tokenizer train", "learn a byte-pair vocabulary from text",
                             "ropewalk tokenizer train --vocab 4096 --out tok book.txt\n"
                             "ropewalk tokenizer train --vocab 16k --out tok --text-key body posts.jsonl.zst\n");
}
Command tokenizer_encode_command() {
  return make_command<Encode>("tokenizer encode", "token ids of a text",
                              "ropewalk tokenizer encode tok 'It was a truth' --pieces\n"
                              "ropewalk tokenizer encode tok < book.txt\n");
}
Command tokenizer_decode_command() {
  return make_command<Decode>("tokenizer decode", "text of token ids", "ropewalk tokenizer decode tok 259 300 2\n");
}
Command tokenizer_info_command() {
  return make_command<TokenizerInfo>("tokenizer info", "kind, size and hash of a tokenizer",
                                     "ropewalk tokenizer info tok\nropewalk tokenizer info runs/book --pieces\n");
}

}  // namespace rw::cli
