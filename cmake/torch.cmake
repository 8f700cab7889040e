# LibTorch as an imported target, ecld_torch. The wheel's own TorchConfig.cmake insists on a CUDA toolkit; the passes
# need only the CPU libraries at link time, and a GPU's libraries are opened at run time when one is used.
set(ECLD_TORCH_DIR "${CMAKE_SOURCE_DIR}/.venv" CACHE PATH "LibTorch, or a Python environment that holds torch")
find_path(ECLD_TORCH_INCLUDE ATen/ATen.h
          PATHS ${ECLD_TORCH_DIR}/include ${ECLD_TORCH_DIR}/lib/python3.13/site-packages/torch/include
                ${ECLD_TORCH_DIR}/lib/python3.12/site-packages/torch/include
                ${ECLD_TORCH_DIR}/lib/python3.11/site-packages/torch/include
          NO_DEFAULT_PATH)
if(NOT ECLD_TORCH_INCLUDE)
  message(FATAL_ERROR "LibTorch not found under ${ECLD_TORCH_DIR}. Run scripts/setup.sh, or give "
                      "-DECLD_TORCH_DIR=<libtorch or venv>, or build only the device half: -DECLD_WORKBENCH=OFF")
endif()
get_filename_component(torch_root ${ECLD_TORCH_INCLUDE} DIRECTORY)
add_library(ecld_torch INTERFACE)
# Searched last: the wheel carries headers of fmt and others, whose libraries we take from the system.
target_compile_options(ecld_torch INTERFACE "SHELL:-idirafter ${ECLD_TORCH_INCLUDE}"
                       "SHELL:-idirafter ${ECLD_TORCH_INCLUDE}/torch/csrc/api/include")
target_link_libraries(ecld_torch INTERFACE ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so)
target_link_options(ecld_torch INTERFACE -Wl,-rpath,${torch_root}/lib -Wl,--allow-shlib-undefined)
