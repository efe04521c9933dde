#include "train/loop/run_status.hpp"

#include <gtest/gtest.h>

#include "tests/support/files.hpp"

namespace rw {
namespace {

TEST(RunStatus, ComesBack) {
  const test::TemporaryFolder f;
  EXPECT_FALSE(read_status(f.path()));
  using State = RunStatus::State;
  for (const State state : {State::running, State::finished, State::interrupted, State::failed}) {
    const RunStatus status{.state = state,
                           .step = 1'000'000'000'000,
                           .total_steps = 2,
                           .tokens = int64_t{1} << 60,
                           .seconds = 0.1,
                           .why = "\"it\"\n\xc3\xa4",
                           .parent = "/runs/a b/checkpoints/step-000001, step 1"};
    write_status(f.path(), status);
    EXPECT_EQ(read_status(f.path()), status) << name_of(state);
  }
}

TEST(RunStatus, WhatIsDamagedIsNotRead) {
  const test::TemporaryFolder f;
  write_status(f.path(), {.state = RunStatus::State::finished, .why = {}});
  const std::string whole = test::read_file(f / "status.json");
  for (const std::string& text :
       {std::string(), std::string("[]"), whole.substr(0, 20), std::string("{\"state\":3}")}) {
    test::write_file(f / "status.json", text);
    EXPECT_FALSE(read_status(f.path())) << text;
  }
  EXPECT_EQ(test::user_error_of([&] { write_status(f / "gone", {}); }).code, Exit::write);
}

}  // namespace
}  // namespace rw
