# CUDA is optional. A compiler is looked for on the PATH, in /usr/local/cuda and among the packages of the project's
# Python environment (scripts/python-nvcc.txt); where there is none, the programs are built without the kernels.
#
#   ecld_cuda(<target>)    compiles every .cu below the target's folder into it and defines ECLD_HAS_CUDA
#
# Objects are made by plain commands rather than by CMake's CUDA language, whose check of the compiler expects the
# folders of an installed toolkit. The runtime library is linked statically and opens the driver's when a GPU is used,
# so the programs start on machines without one.
set(ECLD_CUDA "AUTO" CACHE STRING "Build the CUDA kernels: AUTO (where there is a compiler), ON, OFF")
set_property(CACHE ECLD_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT ECLD_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "ECLD_CUDA is \"${ECLD_CUDA}\"; it must be AUTO, ON or OFF")
endif()

# One object holds machine code for these, and PTX from which a driver makes code for later devices.
set(ECLD_CUDA_CODE
    -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_89,code=sm_89 -gencode=arch=compute_90a,code=sm_90a
    -gencode=arch=compute_90,code=compute_90)
# And for these alone in sources named *_sm90a.cu.
set(ECLD_CUDA_CODE_SM90A -gencode=arch=compute_90a,code=sm_90a)
set(ECLD_CUDA_RELEASE 13)

# Sets ECLD_NVCC, ECLD_CUDA_INCLUDE and ECLD_CUDART, or cuda_missing: what there is not.
macro(ecld_find_cuda)
  set(cuda_missing "")
  file(GLOB python_toolkits ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu13
                            ${ECLD_TORCH_DIR}/lib/python3*/site-packages/nvidia/cu13)
  find_program(ECLD_NVCC nvcc PATHS /usr/local/cuda/bin ${python_toolkits} PATH_SUFFIXES bin)
  if(NOT ECLD_NVCC)
    set(cuda_missing "no nvcc on the PATH, in /usr/local/cuda or in .venv")
  else()
    execute_process(COMMAND ${ECLD_NVCC} --version OUTPUT_VARIABLE nvcc_version ERROR_QUIET)
    string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" nvcc_version "${nvcc_version}")
    get_filename_component(cuda_root ${ECLD_NVCC} REALPATH)
    get_filename_component(cuda_root ${cuda_root}/../.. ABSOLUTE)
    find_path(ECLD_CUDA_INCLUDE cuda_runtime_api.h PATHS ${cuda_root}/include NO_DEFAULT_PATH)
    find_library(ECLD_CUDART NAMES libcudart_static.a PATHS ${cuda_root}/lib64 ${cuda_root}/lib NO_DEFAULT_PATH)
    if(NOT "${CMAKE_MATCH_1}" EQUAL ECLD_CUDA_RELEASE)
      set(cuda_missing "${ECLD_NVCC} is of ${nvcc_version}, not of release ${ECLD_CUDA_RELEASE}")
    elseif(NOT ECLD_CUDA_INCLUDE OR NOT ECLD_CUDART)
      set(cuda_missing "${cuda_root} has no cuda_runtime_api.h or no libcudart_static.a")
    elseif(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      set(cuda_missing "the host compiler is ${CMAKE_CXX_COMPILER_ID}, the kernels are built with GNU")
    elseif(CMAKE_CROSSCOMPILING)
      set(cuda_missing "this is a build for another processor")
    endif()
  endif()
endmacro()

set(ECLD_HAS_CUDA OFF)
if(ECLD_CUDA STREQUAL "OFF")
  message(STATUS "CUDA kernels: off (ECLD_CUDA=OFF)")
else()
  ecld_find_cuda()
  if(NOT cuda_missing)
    set(ECLD_HAS_CUDA ON)
    message(STATUS "CUDA kernels: on (${ECLD_NVCC}, ${nvcc_version})")
  elseif(ECLD_CUDA STREQUAL "ON")
    message(FATAL_ERROR "ECLD_CUDA is ON, but ${cuda_missing}. Install a CUDA ${ECLD_CUDA_RELEASE} toolkit, run "
                        "scripts/setup.sh --tests (which installs one into .venv), or give -DECLD_NVCC=<nvcc>")
  else()
    message(STATUS "CUDA kernels: off (${cuda_missing})")
  endif()
endif()

function(ecld_cuda target folder)
  if(NOT ECLD_HAS_CUDA)
    return()
  endif()
  set(flags -Xptxas -v --fatbin-options=--compress-all -Xcompiler=-fPIC,-Wall,-Wextra,-Wno-missing-field-initializers)
  if(ECLD_WERROR)
    list(APPEND flags -Werror=all-warnings)
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cu)
  foreach(source ${sources})
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${source})
    set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
    get_filename_component(object_folder ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${object_folder})
    set(code ${ECLD_CUDA_CODE})
    if(source MATCHES "_sm90a\\.cu$")
      set(code ${ECLD_CUDA_CODE_SM90A})
    endif()
    # The assembler's report on registers and spills is kept: tests/repo reads it.
    add_custom_command(
      OUTPUT ${object} ${object}.ptxas
      COMMAND ${CMAKE_COMMAND} -E env sh -c "\"$@\" 2>\"$0\" || { cat \"$0\" >&2; exit 1; }" ${object}.ptxas
              ${CMAKE_CXX_COMPILER_LAUNCHER} ${ECLD_NVCC} -std=c++20 -O3 -I${CMAKE_SOURCE_DIR} ${code} ${flags}
              -ccbin ${CMAKE_CXX_COMPILER} -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source} ${ECLD_NVCC}
      DEPFILE ${object}.d
      COMMENT "Building CUDA object ${name}"
      VERBATIM)
    target_sources(${target} PRIVATE ${object})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  endforeach()
  target_compile_definitions(${target} PRIVATE ECLD_HAS_CUDA=1)
  target_include_directories(${target} SYSTEM PRIVATE ${ECLD_CUDA_INCLUDE})
  target_link_libraries(${target} PRIVATE ${ECLD_CUDART} ${CMAKE_DL_LIBS} rt Threads::Threads)
endfunction()
