# What Ropewalk is built on, as Debian 12 packages it. CUDA is looked for by cuda.cmake, MPI is looked
# for and reported; nothing needs it yet.
if(RW_THREADS STREQUAL openmp)
  find_package(OpenMP REQUIRED)
  set(threads OpenMP::OpenMP_CXX)
else()
  find_package(Threads REQUIRED)
  set(threads Threads::Threads)
endif()
find_package(hwy REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(HDF5 REQUIRED IMPORTED_TARGET hdf5-serial)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)

# Debian's dnnl-config.cmake wants the OpenCL headers, which a CPU has no use for.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(rw_dnnl INTERFACE)
target_include_directories(rw_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
target_link_libraries(rw_dnnl INTERFACE ${DNNL_LIBRARY})

add_library(rw_dependencies INTERFACE)
target_link_libraries(rw_dependencies INTERFACE ${threads} hwy::hwy rw_dnnl CLI11::CLI11
  tomlplusplus::tomlplusplus nlohmann_json::nlohmann_json ZLIB::ZLIB PkgConfig::XXHASH PkgConfig::ZSTD
  PkgConfig::SENTENCEPIECE PkgConfig::PCRE2 PkgConfig::UTF8PROC PkgConfig::HDF5)

find_package(MPI QUIET COMPONENTS CXX)
if(MPI_FOUND)
  message(STATUS "MPI found (not used yet)")
else()
  message(STATUS "MPI not found (not needed)")
endif()
