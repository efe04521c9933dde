#include <CLI/CLI.hpp>

#include "core/file/json.hpp"
#include "data/prepare.hpp"
#include "data/sampler/permutation.hpp"
#include "data/token_data.hpp"
#include "data/token_meta.hpp"
#include "train/cli/text_options.hpp"
#include "train/loop/run_folder.hpp"

namespace rw::cli {
namespace {

double ratio(uint64_t a, uint64_t b) { return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b); }

// Of the tokens that are no targets.
std::string prompt_share(uint64_t prompt_tokens, uint64_t tokens) {
  return grouped(prompt_tokens) + " of the tokens (" + fixed(100 * ratio(prompt_tokens, tokens), 1) +
         " %) are prompts, not in the loss";
}

struct Prepare {
  TextOptions text;
  std::string tokenizer, out, split = "tail";
  std::vector<std::string> val_files;
  double val = 0;
  int64_t seed = 1;
  bool overwrite = false;

  void add_options(CLI::App& app) {
    text.add(app);
    app.add_option("--tokenizer", tokenizer, "folder or file of a tokenizer, a run, or: bytes")->required();
    app.add_option("--out", out, "folder for train.h5 and val.h5")->required();
    add_number(app, "--val", val, Unit::share, "share to hold out, for instance 5%; 0: none");
    app.add_option("--split", split,
                   "what is held out: the tail of each document, or whole documents; of pairs whole ones")
        ->check(CLI::IsMember({"tail", "document"}))
        ->capture_default_str();
    app.add_option("--val-files", val_files, "hold out these files besides")->type_name("TEXT");
    add_number(app, "--seed", seed, Unit::integer, "of the draw of whole documents");
    app.add_flag("--overwrite", overwrite, "replace what was prepared there");
  }

  Exit run(const Global& global) {
    if (val < 0 || val >= 1)
      throw UserError(Exit::usage, "--val is to be from 0 to below 100%", "for instance:  --val 5%");
    const auto made = load_tokenizer(tokenizer);
    const PrepareOptions options{.documents = text.documents(),
                                 .val = val,
                                 .split = split == "tail" ? ValidationSplit::tail : ValidationSplit::document,
                                 .val_files = {val_files.begin(), val_files.end()},
                                 .seed = static_cast<uint64_t>(seed),
                                 .command = shell_line(global.arguments),
                                 .overwrite = overwrite};
    const Prepared done = prepare(text.paths(), *made, out, options);
    if (global.json) {
      const auto shown = [](const PreparedSplit& s) {
        return OrderedJson{
            {"tokens", s.tokens}, {"documents", s.documents}, {"bytes", s.bytes}, {"prompt_tokens", s.prompt_tokens}};
      };
      print(OrderedJson{
                {"out", out}, {"tokenizer_hash", made->hash()}, {"train", shown(done.train)}, {"val", shown(done.val)}}
                .dump() +
            "\n");
      return Exit::ok;
    }
    std::string result = line("train", done.train);
    if (done.val.tokens > 0) result += line("val", done.val);
    print(result + "next: ropewalk pretrain --size 5m --data " + shell_line(std::vector{out}) + " --out runs/first\n");
    return Exit::ok;
  }

 private:
  std::string line(const char* name, const PreparedSplit& s) const {
    char head[128];
    std::snprintf(head, sizeof head, "%-5s  %13s tokens in %s documents", name, grouped(s.tokens).c_str(),
                  grouped(s.documents).c_str());
    return std::string(head) + ", " + fixed(ratio(s.bytes, s.tokens - s.prompt_tokens), 2) + " bytes/token" +
           (s.prompt_tokens > 0 ? ", " + prompt_share(s.prompt_tokens, s.tokens) : std::string()) + "   " +
           (std::filesystem::path(out) / name).string() + ".h5\n";
  }
};

struct DataOptions {
  std::string data;
  int64_t vocab = 0;
  bool val = false;

  void add(CLI::App& app) {
    app.add_option("DATA", data, "folder of prepared data, token file, or pattern of token files")->required();
    add_number(app, "--vocab", vocab, Unit::length, "number of tokens, for files that do not say it");
    app.add_flag("--val", val, "the validation data of a folder");
  }
  TokenData open() const { return TokenData::open(data, val ? Split::val : Split::train, vocab); }
};

struct DataInfo {
  DataOptions options;

  void add_options(CLI::App& app) { options.add(app); }

  Exit run(const Global& global) {
    const TokenData data = options.open();
    const auto starts = data.document_starts();
    uint64_t longest = 0;
    for (size_t i = 0; i < starts.size(); ++i)
      longest = std::max(longest, (i + 1 < starts.size() ? starts[i + 1] : data.size()) - starts[i]);
    OrderedJson out = {{"name", data.name()},         {"tokens", data.size()},
                       {"vocab", data.vocab()},       {"documents", starts.size()},
                       {"longest_document", longest}, {"targets", data.targets()},
                       {"bytes", data.bytes()},       {"tokenizer_hash", data.tokenizer_hash()}};
    if (!data.meta().empty()) out["meta"] = OrderedJson::parse(data.meta());
    if (global.json) {
      print(out.dump() + "\n");
      return Exit::ok;
    }
    std::string text = data.name() + "\ntokens      " + grouped(data.size()) + "\nvocab       " +
                       grouped(static_cast<uint64_t>(data.vocab())) + "\ndocuments   " + grouped(starts.size()) +
                       ", the longest of " + grouped(longest) + " tokens\n";
    const uint64_t prompts = data.size() - 1 - data.targets();
    if (prompts > 0) text += "loss mask   " + prompt_share(prompts, data.size()) + "\n";
    if (data.bytes() > 0)
      text += "text        " + byte_text(data.bytes()) + (prompts > 0 ? " without prompts, " : ", ") +
              fixed(ratio(data.bytes(), data.size() - prompts), 2) + " bytes/token\n";
    if (!data.meta().empty()) {
      const TokenMeta meta = parse_token_meta(data.name(), data.meta());
      text += "tokenizer   " + meta.tokenizer_kind + " " + meta.tokenizer_hash + "\nmade by     " + meta.command + "\n";
      for (const TokenSource& source : meta.sources)
        text += "source      " + source.name + ": " + byte_text(source.bytes) + " in " + grouped(source.documents) +
                " documents\n";
    }
    print(text);
    return Exit::ok;
  }
};

struct DataSample {
  DataOptions options;
  std::string tokenizer;
  int64_t documents = 3, tokens = 200, seed = 1;
  bool pieces = false;

  void add_options(CLI::App& app) {
    options.add(app);
    app.add_option("--tokenizer", tokenizer, "for files that do not hold theirs");
    add_number(app, "--documents", documents, Unit::integer, "how many to show");
    add_number(app, "--tokens", tokens, Unit::length, "of each document, from its start");
    add_number(app, "--seed", seed, Unit::integer, "of the choice");
    app.add_flag("--pieces", pieces, "show tokens one by one, with | between");
  }

  Exit run(const Global& global) {
    if (documents < 1 || tokens < 1) throw UserError(Exit::usage, "--documents and --tokens are to be above 0");
    const TokenData data = options.open();
    if (tokenizer.empty() && !data.tokenizer())
      throw UserError(Exit::usage, data.name() + " does not hold its tokenizer", "name it:  --tokenizer TOK");
    const auto made = tokenizer.empty() ? make_tokenizer(*data.tokenizer()) : load_tokenizer(tokenizer);
    if (made->vocab() < data.vocab())
      throw UserError(Exit::data, "tokenizer mismatch",
                      data.name() + " has " + std::to_string(data.vocab()) + " tokens, the tokenizer " +
                          std::to_string(made->vocab()));
    const auto starts = data.document_starts();
    const Permutation order(starts.size(), static_cast<uint64_t>(seed), 0, 0);
    for (uint64_t i = 0; i < std::min<uint64_t>(static_cast<uint64_t>(documents), starts.size()); ++i)
      show(data, *made, order(i), global.json);
    return Exit::ok;
  }

 private:
  void show(const TokenData& data, const Tokenizer& made, uint64_t document, bool as_json) const {
    const auto starts = data.document_starts();
    const uint64_t end = document + 1 < starts.size() ? starts[document + 1] : data.size();
    const uint64_t length = end - starts[document];
    const uint64_t prompt = data.prompt_tokens().empty() ? 0 : data.prompt_tokens()[document];
    std::vector<int32_t> ids(std::min<uint64_t>(length, static_cast<uint64_t>(tokens)));
    data.read(starts[document], ids);
    if (as_json)
      return print(OrderedJson{{"document", document},
                               {"length", length},
                               {"prompt_tokens", prompt},
                               {"ids", ids},
                               {"text", made.decode(ids)}}
                       .dump(-1, ' ', false, OrderedJson::error_handler_t::replace) +
                   "\n");
    const auto shown = [&](std::span<const int32_t> first) {  // the first of them
      if (!pieces) return made.decode(first);
      std::string text;
      for (int32_t id : first) text += made.piece(id) + "|";
      return text;
    };
    std::string text = shown(ids);
    if (prompt > 0) {  // document_start is of it
      const auto length_of_prompt = std::min<uint64_t>(prompt + 1, ids.size());
      text.insert(shown(std::span(ids).first(length_of_prompt)).size(), "\n--- completion, in the loss\n");
    }
    print("--- document " + grouped(document) + " of " + grouped(starts.size()) + ", " + grouped(length) + " tokens" +
          (ids.size() < length ? ", the first " + grouped(ids.size()) : std::string()) +
          (prompt > 0 ? ", prompt of " + grouped(prompt) + ", not in the loss" : std::string()) + "\n" + text +
          (text.ends_with('\n') ? "" : "\n"));
  }
};

}  // namespace

Command data_prepare_command() {
  return make_command<Prepare>(
      "data prepare", "turn text into token files",
      "ropewalk data prepare --tokenizer tok --out data --val 5% book.txt\n"
      "ropewalk data prepare --tokenizer bytes --out data --document-separator % fortunes.txt\n"
      "ropewalk data prepare --tokenizer tok --out pairs --val 5% prompts-and-completions.jsonl\n"
      "ropewalk data prepare --tokenizer tok --out data --val 1% --split document a.jsonl.gz\n");
}
Command data_info_command() {
  return make_command<DataInfo>("data info", "size, documents and origin of token files",
                                "ropewalk data info data\nropewalk data info 'shards/*_train_*.bin'\n");
}
Command data_sample_command() {
  return make_command<DataSample>(
      "data sample", "show some documents of token files",
      "ropewalk data sample data --documents 5\nropewalk data sample data --val --pieces\n");
}

}  // namespace rw::cli
