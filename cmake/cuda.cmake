# CUDA: kernels, the *_cuda.cu beside the other twins of an op, and *_toolkit.cpp, host code that needs the toolkit's
# headers. Where nvcc is found, the program has them. The libraries are the same with and without, and refer to them
# weakly.
#
# Tests execute the kernels on the CPU: g++ compiles the same sources against tests/emulator, which stands for the
# toolkit too.
set(RW_CUDA "auto" CACHE STRING "auto | on | off: compile the CUDA kernels; auto: if CUDA 12 or newer is found")

file(GLOB_RECURSE kernels RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
  core/*_cuda.cu layers/*_cuda.cu optim/*_cuda.cu)
file(GLOB_RECURSE toolkit RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS core/*_toolkit.cpp)

if(RW_CUDA STREQUAL auto)
  find_package(CUDAToolkit 12 QUIET)
  include(CheckLanguage)
  check_language(CUDA)
elseif(RW_CUDA STREQUAL on)
  find_package(CUDAToolkit 12 REQUIRED)
  set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
endif()
if(CUDAToolkit_FOUND AND CMAKE_CUDA_COMPILER AND NOT RW_CUDA STREQUAL off)
  message(STATUS "CUDA ${CUDAToolkit_VERSION}: the program has the CUDA kernels")
  set(CMAKE_CUDA_ARCHITECTURES 80 90)
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc knows it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  add_library(rw_cuda OBJECT ${kernels} ${toolkit})
  set_target_properties(rw_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)  # for a library, too
  target_include_directories(rw_cuda PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(rw_cuda PUBLIC CUDA::cudart_static)
  # What ptxas says of each kernel lies beside its object, for tests/tools/ptxas_table.
  target_compile_options(rw_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -Xptxas=-v -Xcompiler=-Wall,-Wextra>
    $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${RW_WERROR}>>:-Werror=all-warnings>
    "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")
  set_target_properties(rw_cuda PROPERTIES CUDA_COMPILER_LAUNCHER
    "${PROJECT_SOURCE_DIR}/tests/tools/keep_ptxas;${CMAKE_CXX_COMPILER_LAUNCHER}")
else()
  message(STATUS "no CUDA 12 or newer, or RW_CUDA is off: the program runs on the CPU")
endif()

if(RW_TESTS AND NOT CMAKE_CXX_FLAGS MATCHES "sanitize=thread")
  find_path(BOOST_CONTEXT_INCLUDE_DIR boost/context/detail/fcontext.hpp REQUIRED)
  find_library(BOOST_CONTEXT_LIBRARY boost_context REQUIRED)
  file(GLOB emulator CONFIGURE_DEPENDS tests/emulator/*.cpp)
  list(FILTER emulator EXCLUDE REGEX "_test\\.cpp$")
  add_library(rw_simt SHARED ${emulator})
  target_include_directories(rw_simt PUBLIC ${PROJECT_SOURCE_DIR} PRIVATE ${BOOST_CONTEXT_INCLUDE_DIR})
  target_compile_options(rw_simt PRIVATE -O2)
  if(CMAKE_CXX_FLAGS MATCHES address)
    # A fiber lives for one block: a second stack for each of them, to find uses after return, costs ten times the rest.
    set(no_second_stack $<$<CXX_COMPILER_ID:Clang>:-fsanitize-address-use-after-return=never>
      $<$<CXX_COMPILER_ID:GNU>:--param=asan-use-after-return=0>)
    target_compile_options(rw_simt PRIVATE ${no_second_stack})
  endif()
  target_link_libraries(rw_simt PRIVATE rw_dependencies ${BOOST_CONTEXT_LIBRARY})

  # rw_emulated(NAME FOLDER KERNELS...): kernels as the library FOLDER/librw_kernels.so, of which every variable is
  # shared memory; and for the race detector as NAME_race in FOLDER-race. The library of another folder takes its place
  # when LD_LIBRARY_PATH says so.
  function(rw_emulated name folder)
    set(sources)
    foreach(kernel ${ARGN})  # as C++, which the same file cannot be beside CUDA
      set(source ${PROJECT_BINARY_DIR}/${folder}/${kernel}.cpp)
      file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${kernel}\"\n")
      list(APPEND sources ${source})
    endforeach()
    set(detector)
    if(RW_RACES)
      set(detector race)
    endif()
    foreach(variant plain ${detector})
      if(variant STREQUAL race)
        set(name ${name}_race)
        set(folder ${folder}-race)
      endif()
      add_library(${name} SHARED ${sources})
      set_target_properties(${name} PROPERTIES OUTPUT_NAME rw_kernels
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
      target_include_directories(${name} BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/tests/emulator)
      target_compile_options(${name} PRIVATE -O1 -fno-strict-aliasing $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>
        ${warnings} ${no_second_stack}
        "$<$<STREQUAL:${variant},race>:-g1;-fsanitize=thread>")
      target_link_libraries(${name} PRIVATE rw_simt)
    endforeach()
  endfunction()
  rw_emulated(rw_kernels emulated ${kernels})
  rw_emulated(rw_test_kernels test-kernels tests/emulator/test_kernels.cu)

  # device/librw_kernels.so, nvcc's kernels in place of the emulated ones, and under the emulator's name the same again:
  # with LD_LIBRARY_PATH=BUILD/device a test runs on a GPU, if there is one.
  if(TARGET rw_cuda)
    add_library(rw_device SHARED $<TARGET_OBJECTS:rw_cuda> core/memory/memory.cpp)
    set_target_properties(rw_device PROPERTIES OUTPUT_NAME rw_kernels LINKER_LANGUAGE CXX
      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/device)
    target_include_directories(rw_device PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(rw_device PRIVATE CUDA::cudart_static)
    add_custom_command(TARGET rw_device POST_BUILD VERBATIM COMMAND ${CMAKE_COMMAND} -E create_symlink
      librw_kernels.so ${PROJECT_BINARY_DIR}/device/librw_simt.so)
  endif()
endif()

# Gives a program the CUDA twins, if there are any, and a test the emulated ones.
function(rw_link_cuda program)
  if(TARGET rw_cuda)
    target_link_libraries(${program} PRIVATE rw_cuda)
  endif()
endfunction()
function(rw_link_kernels test)
  if(TARGET rw_kernels)
    # Though nothing but weak references, which may stay null, asks for them.
    target_link_libraries(${test} PRIVATE -Wl,--push-state,--no-as-needed rw_kernels rw_simt -Wl,--pop-state)
  endif()
endfunction()
