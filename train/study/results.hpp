// results.jsonl of a study: a line for each row of each seed.
#pragma once
#include "train/study/study.hpp"

namespace rw::study {

// "log_n=trained window=N/4" as settings, with N put in.
ConfigLayer setting_words(std::string_view text, int64_t context);

class ResultFile {
 public:
  // What is there already. UserError(Exit::corrupt) if a line cannot be read: the file is only ever replaced as a
  // whole.
  explicit ResultFile(std::filesystem::path file);

  bool has(std::string_view row, int64_t seed) const;
  void add(const Result& result);  // UserError(Exit::write)
  const std::vector<Result>& results() const { return results_; }

 private:
  std::filesystem::path file_;
  std::vector<Result> results_;
};

// The first line in which two texts differ, of both.
std::pair<std::string, std::string> first_difference(std::string_view a, std::string_view b);

}  // namespace rw::study
