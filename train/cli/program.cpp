#include <csignal>
#include <cstdio>
#include <new>

#include "train/cli/command.hpp"
#include "train/cli/explain.hpp"
#include "train/cli/help.hpp"

namespace rw::cli {
namespace {

constexpr const char* kExamples =
    "ropewalk tokenizer train --vocab 4096 --out tok book.txt\n"
    "ropewalk data prepare --tokenizer tok --out data book.txt\n"
    "ropewalk pretrain --size 5m --data data --tokens 20M --out runs/book\n"
    "ropewalk generate runs/book\n";

struct Group {
  const char *name, *summary;
};
constexpr Group kGroups[] = {{"tokenizer", "train and use tokenizers"},
                             {"data", "turn text into tokens"},
                             {"config", "look at settings"},
                             {"import", "models of other tools become checkpoints"},
                             {"export", "checkpoints become models of other tools"}};

CLI::App* group_of(CLI::App& app, const std::string& name) {
  for (CLI::App* known : app.get_subcommands([](CLI::App*) { return true; }))
    if (known->get_name() == name) return known;
  for (const Group& group : kGroups)
    if (group.name == name) {
      CLI::App* added = app.add_subcommand(group.name, group.summary);
      added->require_subcommand(1);
      return added;
    }
  throw Error("no group of commands '" + name + "'");
}

Exit parse_and_run(int argc, const char* const* argv) {
  Global global;
  global.arguments.assign(argv, argv + argc);
  bool version = false, man = false;

  CLI::App app("trains small transformers from scratch", "ropewalk");
  app.formatter(std::make_shared<Help>());
  app.set_help_flag("-h,--help", "show this and end");
  app.footer(kExamples);
  app.require_subcommand(0, 1);
  app.add_flag("--version", version, "show versions of program and libraries, and end");
  app.add_flag("--man", man, "print the manual page, for man -l -, and end");
  const auto add_global = [&](CLI::App& to) {
    to.add_flag("--json", global.json, "results as JSON on stdout, progress as JSON Lines on stderr");
    to.add_flag("--quiet", global.quiet, "warnings and errors only");
  };
  add_global(app);

  const std::vector<Command> all = commands();
  std::vector<std::pair<CLI::App*, const Command*>> leaves;
  for (const Command& command : all) {
    const size_t space = command.name.find(' ');
    CLI::App* parent = space == std::string::npos ? &app : group_of(app, command.name.substr(0, space));
    CLI::App* leaf = parent->add_subcommand(command.name.substr(space + 1), command.summary);  // npos + 1 is 0
    leaf->footer(command.examples);
    command.add_options(*leaf);
    add_global(*leaf);
    for (CLI::Option* option : leaf->get_options([](const CLI::Option*) { return true; }))
      if (option->get_expected_max() == 0) option->disable_flag_override();
    leaves.emplace_back(leaf, &command);
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(deepest(app).help());
    return Exit::ok;
  } catch (const CLI::ParseError& error) {
    throw explain(app, error);
  }
  if (version) {
    print(global.json ? version_json() : version_text());
    return Exit::ok;
  }
  if (man) {
    print(manual(app));
    return Exit::ok;
  }
  for (const auto& [leaf, command] : leaves)
    if (leaf->parsed()) return command->run(global);
  throw no_command(app);
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed stderr must not end a training run
  try {
    return static_cast<int>(parse_and_run(argc, argv));
  } catch (const UserError& error) {
    print_error(error);
    return static_cast<int>(error.code);
  } catch (const ClosedPipe&) {  // as every program of a pipeline ends
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
    return static_cast<int>(Exit::write);
  } catch (const std::bad_alloc&) {
    print_error({Exit::memory, "out of memory", "try a smaller --micro-batch, --context or --size"});
    return static_cast<int>(Exit::memory);
  } catch (const std::exception& error) {
    print_error({Exit::internal, std::string("internal: ") + error.what(),
                 "this is a fault of ropewalk, not yours; please report it with the command line"});
    return static_cast<int>(Exit::internal);
  }
}

}  // namespace rw::cli
