#include "train/doctor/checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "core/math/gemm.hpp"
#include "tests/support/files.hpp"

namespace rw::doctor {
namespace {

using State = Check::State;
using testing::HasSubstr;

TEST(Doctor, AllIsWellHere) {
  const test::TemporaryFolder f;
  for (const Check& check : examine(f.path())) {
    if (check.name == "disk" || check.name == "memory") continue;  // of the machine that the test runs on
    EXPECT_EQ(check.state, check.name == "GPU" || check.name == "NCCL" ? State::absent : State::ok)
        << check.name << ": " << check.text;
    EXPECT_EQ(check.exit, Exit::ok);
    EXPECT_NE(check.text, "");
  }
  EXPECT_TRUE(f.names().empty());  // nothing is left behind
}

TEST(Doctor, TheMachine) {
  EXPECT_THAT(check_processor(2, 2).text, HasSubstr("2 threads on 2 cores"));
  EXPECT_EQ(check_processor(2, 2).advice, "");
  EXPECT_THAT(check_processor(8, 2).advice, HasSubstr("--threads 2"));
  EXPECT_THAT(check_processor(1, 2).advice, HasSubstr("OMP_NUM_THREADS"));
  EXPECT_THAT(check_instructions("SSE2").advice, HasSubstr("slow"));
  EXPECT_EQ(check_memory(8e9, 4e9).state, State::ok);
  EXPECT_EQ(check_memory(8e9, 1e8).exit, Exit::memory);
  EXPECT_EQ(check_libraries("").state, State::ok);
  EXPECT_THAT(check_libraries("").text, HasSubstr("HDF5 "));
  EXPECT_EQ(check_libraries("oneDNN 1.0 was loaded").exit, Exit::internal);
}

TEST(Doctor, TheDisk) {
  const test::TemporaryFolder f;
  EXPECT_EQ(check_disk(f.path(), 0).state, State::ok);
  const Check full = check_disk(f.path(), 1e30);
  EXPECT_EQ(full.exit, Exit::write);
  EXPECT_THAT(full.advice, HasSubstr("free some space"));
  for (const auto check : {check_files, check_container}) {
    EXPECT_EQ(check(f.path()).state, State::ok);
    test::write_file(f / "file", "");
    EXPECT_EQ(check(f / "file").exit, Exit::write);
  }
  EXPECT_EQ(check_disk(f / "gone", 0).exit, Exit::data);
}

// As on a full disk.
TEST(Doctor, WritesThatFail) {
  const test::TemporaryFolder f;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit low{2, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const Check files = check_files(f.path()), container = check_container(f.path());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(files.exit, Exit::write) << files.text;
  EXPECT_EQ(container.exit, Exit::write) << container.text;
  EXPECT_TRUE(f.names().empty());
}

// A product that is wrong by a thousandth, in one of the three forms, or not finite.
TEST(Doctor, WrongArithmeticIsFound) {
  EXPECT_EQ(check_products(our_products()).state, State::ok);
  for (const auto form : {&Products::nt, &Products::nn, &Products::tn})
    for (const float factor : {1.001f, std::numeric_limits<float>::quiet_NaN()}) {
      Products products = our_products();
      products.*form = [=](Ctx& ctx, View c, CView a, CView b) {
        (our_products().*form)(ctx, c, a, b);
        if (c.dtype == DType::f32) c.as<float>().data[3] *= factor;
      };
      const Check check = check_products(products);
      EXPECT_EQ(check.state, State::wrong);
      EXPECT_EQ(check.exit, Exit::internal);
      EXPECT_THAT(check.advice, HasSubstr("ROPEWALK_ISA"));
    }
}

TEST(Doctor, AStepThatDoesNotLearnIsFound) {
  EXPECT_EQ(check_training().state, State::ok);
  EXPECT_EQ(check_training(0).exit, Exit::internal);
}

}  // namespace
}  // namespace rw::doctor
