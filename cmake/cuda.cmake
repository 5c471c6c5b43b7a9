# Adds the CUDA backend to oa_core: host code by the C++ compiler, kernels by nvcc, or everything by the C++ compiler
# with the stand-ins. nvcc is called by plain commands: CMake's own CUDA language does not know every toolkit that pip
# installs, and there is little to find out.

file(GLOB cuda_host_sources CONFIGURE_DEPENDS ${native}/cuda/*.cc ${native}/runtime/cuda_*.cc)
list(APPEND cuda_host_sources ${native}/ops/cuda_table.cc)
file(GLOB cuda_kernel_sources CONFIGURE_DEPENDS ${native}/ops/*_cuda.cu)

if(OA_CUDA STREQUAL "EMULATED")
  set(standin ${CMAKE_CURRENT_SOURCE_DIR}/test/native/cuda)
  file(GLOB standin_sources CONFIGURE_DEPENDS ${standin}/*.cc)
  list(FILTER standin_sources EXCLUDE REGEX "_test\\.cc$")
  set_source_files_properties(${cuda_kernel_sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++")
  add_library(oa_cuda OBJECT ${cuda_host_sources} ${cuda_kernel_sources} ${standin_sources})
  target_include_directories(oa_cuda PRIVATE ${native})
  target_include_directories(oa_cuda BEFORE PRIVATE ${standin})
  target_compile_definitions(oa_cuda PRIVATE OA_CUDA_STANDIN=1)
  # A kernel without a barrier may run to its end in one go, so that an optimiser sees its loops as plain loops; the
  # arithmetic stays that of the source.
  target_compile_options(oa_cuda PRIVATE -O2 -ffp-contract=fast -Wno-unknown-pragmas -Wno-attributes)
  target_sources(oa_core PRIVATE $<TARGET_OBJECTS:oa_cuda>)
  # The stand-ins' own tests are compiled as the stand-ins are; CMakeLists.txt links them into oa_selftest.
  if(OA_TESTS)
    file(GLOB standin_tests CONFIGURE_DEPENDS ${standin}/*_test.cc)
    add_library(oa_cuda_selftest OBJECT ${standin_tests})
    foreach(property INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS)
      set_target_properties(oa_cuda_selftest PROPERTIES ${property} "$<TARGET_PROPERTY:oa_cuda,${property}>")
    endforeach()
  endif()
  return()
endif()

execute_process(COMMAND ${OA_NVCC} --version OUTPUT_VARIABLE nvcc_version RESULT_VARIABLE nvcc_failed)
if(nvcc_failed)
  message(FATAL_ERROR "OA_CUDA is ON, but '${OA_NVCC}' does not run: name the CUDA compiler with -DOA_NVCC=/path/to/nvcc")
endif()
string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" _ "${nvcc_version}")
set(cuda_version ${CMAKE_MATCH_1}.${CMAKE_MATCH_2})
if(cuda_version VERSION_LESS 12.4)
  message(FATAL_ERROR "CUDA ${cuda_version} is too old: 12.4 or later is needed")
endif()

# The toolkit around the compiler: bin/nvcc, include/, lib64/ or lib/.
find_program(nvcc_path ${OA_NVCC} REQUIRED)
file(REAL_PATH ${nvcc_path} nvcc_real)
cmake_path(GET nvcc_real PARENT_PATH cuda_bin)
cmake_path(GET cuda_bin PARENT_PATH cuda_root)
find_library(cudart_static cudart_static PATHS ${cuda_root} ${cuda_root}/targets/x86_64-linux
             ${cuda_root}/targets/sbsa-linux PATH_SUFFIXES lib64 lib NO_DEFAULT_PATH REQUIRED)
find_path(cuda_include cuda_runtime.h PATHS ${cuda_root} ${cuda_root}/targets/x86_64-linux
          ${cuda_root}/targets/sbsa-linux PATH_SUFFIXES include NO_DEFAULT_PATH REQUIRED)

set(nvcc_archs "")
foreach(arch IN LISTS OA_CUDA_ARCHS)
  list(APPEND nvcc_archs -gencode arch=compute_${arch},code=sm_${arch})
endforeach()
list(GET OA_CUDA_ARCHS -1 newest)
list(APPEND nvcc_archs -gencode arch=compute_${newest},code=compute_${newest})

file(GLOB_RECURSE cuda_headers CONFIGURE_DEPENDS ${native}/*.h ${native}/*.cuh)
set(cuda_objects "")
foreach(source IN LISTS cuda_kernel_sources ITEMS ${native}/cuda/cublaslt_api_check.cu)
  cmake_path(GET source STEM stem)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda/${stem}.o)
  # The resource report of every kernel goes beside its object, for scripts/nvcc.mjs.
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/cuda
    COMMAND sh -c "\"$@\" 2> \"$0\" || { cat \"$0\"; exit 1; }" ${object}.txt ${nvcc_real} -c ${source} -o ${object}
            -std=c++20 -O3 -lineinfo -I ${native} -Xcompiler=-fPIC,-fvisibility=hidden,-Wall -Werror all-warnings
            --resource-usage -ccbin ${CMAKE_CXX_COMPILER} ${nvcc_archs}
    DEPENDS ${source} ${cuda_headers}
    VERBATIM)
  list(APPEND cuda_objects ${object})
endforeach()
set_source_files_properties(${cuda_objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)

add_library(oa_cuda OBJECT ${cuda_host_sources})
target_include_directories(oa_cuda PRIVATE ${native})
target_include_directories(oa_cuda SYSTEM PRIVATE ${cuda_include})
add_custom_target(oa_cuda_kernels DEPENDS ${cuda_objects})
target_sources(oa_core PRIVATE ${cuda_objects} $<TARGET_OBJECTS:oa_cuda>)
add_dependencies(oa_core oa_cuda_kernels)
# Static: it opens the driver itself, so the addon loads where there is none.
target_link_libraries(oa_core PUBLIC ${cudart_static} ${CMAKE_DL_LIBS} rt)
message(STATUS "CUDA ${cuda_version} (${nvcc_real}) for sm_${OA_CUDA_ARCHS}")
