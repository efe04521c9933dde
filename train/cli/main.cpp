#include "train/cli/command.hpp"

int main(int argc, char** argv) { return rw::cli::run_program(argc, argv); }
