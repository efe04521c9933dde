// Whether this machine and this build can train: each check says what there is, or what is wrong and what to do.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/ctx.hpp"

namespace rw::doctor {

struct Check {
  enum class State { ok, absent, wrong } state = State::ok;  // absent: not there, and not needed
  std::string name;                                          // "memory"
  std::string text;                                          // what there is, or what is wrong
  std::string advice;                                        // lines; may be there for what is ok too
  Exit exit = Exit::ok;                                      // of the program, where it is wrong
};

// All of them, in the order of the output. Runs would be in `folder`.
std::vector<Check> examine(const std::filesystem::path& folder);

Check check_processor(int threads, int available);  // threads: that we use; available: that the system gives us
Check check_instructions(const std::string& isa);
Check check_memory(double total, double available);  // bytes
Check check_libraries(const std::string& mismatch);
Check check_disk(const std::filesystem::path& folder, double needed);  // bytes that should be free
Check check_files(const std::filesystem::path& folder);                // locks, names, flushing to the disk
Check check_container(const std::filesystem::path& folder);            // HDF5: written, read, compared

using Product = std::function<void(Ctx&, View c, CView a, CView b)>;
struct Products {
  Product nt, nn, tn;
};
Products our_products();
Check check_products(const Products& products);  // f32 against f64, within the bound of rounding

// Two steps of a small model, with a given factor on the learning rate: they agree with f64, and the loss falls.
Check check_training(double factor = 1, Device = {}, DType = DType::f32);
Check check_gpu();  // the first CUDA device: what it is, and check_training on it in f32 and bf16

}  // namespace rw::doctor
