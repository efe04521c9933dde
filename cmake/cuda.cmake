# CUDA kernels, the *_cuda.cu beside the other twins of an op, and *_toolkit.cpp, host code that needs the toolkit's
# headers. With RW_CUDA both are compiled into the program. Without it tests execute the kernels on the CPU: g++
# compiles the same sources against tests/emulator, which stands for the toolkit too. Nothing of it is in the program.
option(RW_CUDA "compile the CUDA kernels (nvcc)" OFF)

file(GLOB_RECURSE kernels RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
  core/*_cuda.cu layers/*_cuda.cu optim/*_cuda.cu)

if(RW_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES 80 90)
  enable_language(CUDA)
  file(GLOB_RECURSE toolkit RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS core/*_toolkit.cpp train/*_toolkit.cpp)
  add_library(rw_cuda OBJECT ${kernels} ${toolkit})
  target_include_directories(rw_cuda PRIVATE ${PROJECT_SOURCE_DIR})
  # CMake 3.25 knows no C++20 for nvcc, and would leave CMAKE_CUDA_STANDARD 20 out without a word.
  target_compile_options(rw_cuda PRIVATE -std=c++20 --expt-relaxed-constexpr -Xptxas=-v -Xcompiler=-Wall,-Wextra
    $<$<BOOL:${RW_WERROR}>:-Werror=all-warnings>)
elseif(RW_TESTS AND NOT RW_THREADS STREQUAL std)  # whose ThreadSanitizer would take the hooks of the race detector
  find_path(BOOST_CONTEXT_INCLUDE_DIR boost/context/detail/fcontext.hpp REQUIRED)
  find_library(BOOST_CONTEXT_LIBRARY boost_context REQUIRED)
  file(GLOB emulator CONFIGURE_DEPENDS tests/emulator/*.cpp)
  list(FILTER emulator EXCLUDE REGEX "_test\\.cpp$")
  add_library(rw_simt SHARED ${emulator})
  target_include_directories(rw_simt PUBLIC ${PROJECT_SOURCE_DIR} PRIVATE ${BOOST_CONTEXT_INCLUDE_DIR})
  target_compile_options(rw_simt PRIVATE -O2)
  target_link_libraries(rw_simt PRIVATE rw_dependencies ${BOOST_CONTEXT_LIBRARY})

  # rw_emulated(NAME FOLDER KERNELS...): kernels as the library FOLDER/librw_kernels.so, of which every variable is
  # shared memory; and for the race detector as NAME_race in FOLDER-race. The library of another folder takes its place
  # when LD_LIBRARY_PATH says so.
  function(rw_emulated name folder)
    set(detector)
    if(NOT CMAKE_CXX_FLAGS MATCHES sanitize)
      set(detector race)
    endif()
    foreach(variant plain ${detector})
      if(variant STREQUAL race)
        set(name ${name}_race)
        set(folder ${folder}-race)
      endif()
      add_library(${name} SHARED ${ARGN})
      set_target_properties(${name} PROPERTIES OUTPUT_NAME rw_kernels
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
      target_include_directories(${name} BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/tests/emulator)
      target_compile_options(${name} PRIVATE -xc++ -O1 -fno-strict-aliasing -fno-gnu-unique -Wall -Wextra -Wconversion
        -Wshadow $<$<BOOL:${RW_WERROR}>:-Werror> "$<$<STREQUAL:${variant},race>:-g1;-fsanitize=thread>")
      target_link_libraries(${name} PRIVATE rw_simt)
    endforeach()
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX)
  endfunction()
  rw_emulated(rw_kernels emulated ${kernels})
  rw_emulated(rw_test_kernels emulated-test tests/emulator/test_kernels.cu)
endif()
