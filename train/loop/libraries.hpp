// What this program was linked with.
#pragma once
#include <string>
#include <vector>

namespace rw {

struct Library {
  std::string name, version;  // of a shared library: as the one that was loaded says
};
std::vector<Library> libraries();

// Whether the loaded oneDNN has the interface that this program was compiled for; else what is wrong.
std::string library_mismatch();

}  // namespace rw
