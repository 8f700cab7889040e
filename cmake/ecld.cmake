# How rooms, programs, tests and benches become targets. Sources are found by the build, never listed by hand.

add_library(ecld_flags INTERFACE)
target_include_directories(ecld_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(ecld_flags INTERFACE ECLD_VERSION="${PROJECT_VERSION}")
target_compile_options(ecld_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # false alarms of GCC 12 on string concatenation
                       $<$<BOOL:${ECLD_WERROR}>:-Werror>)
if(ECLD_SANITIZE)
  add_compile_options(-fsanitize=${ECLD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ECLD_SANITIZE})
endif()

# ecld_room(<folder> <libraries>...): library ecld_<folder with _> from every .cpp below the folder, but for rooms inside it.
set(ECLD_INNER_ROOMS offload/learn)
function(ecld_room folder)
  string(REPLACE "/" "_" name ecld_${folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  foreach(inner ${ECLD_INNER_ROOMS})
    if(NOT folder STREQUAL inner)
      list(FILTER sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/${inner}/")
    endif()
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ecld_flags ${ARGN})
  if(ECLD_FUZZ AND NOT folder STREQUAL "kernels")  # what libFuzzer sees; products of matrices would only be slower
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# ecld_operators(): libecld_operators.so, which Python and LibTorch programs load (operators/README.md). The rooms
# whose code it brings along are position independent, and hide their names, so that the code is no other for that.
function(ecld_operators)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/operators/*.cpp)
  add_library(ecld_operators SHARED ${sources})
  foreach(source packed_weight tiled_weight tensor_checks)
    target_sources(ecld_operators PRIVATE ${CMAKE_SOURCE_DIR}/model/${source}.cpp)
  endforeach()
  target_link_libraries(ecld_operators PRIVATE ecld_kernels ecld_torch)
  set_target_properties(ecld_core ecld_kernels ecld_operators PROPERTIES
                        POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  install(TARGETS ecld_operators)
endfunction()

# ecld_offload_door(): libecld_offload.so, offloading as an environment behind a C interface (bindings/c).
function(ecld_offload_door)
  add_library(ecld_offload_door SHARED ${CMAKE_SOURCE_DIR}/bindings/c/ecld_offload.cpp
              ${CMAKE_SOURCE_DIR}/checkpoint/safetensors.cpp)
  target_link_libraries(ecld_offload_door PRIVATE ecld_offload)
  set_target_properties(ecld_offload_door PROPERTIES OUTPUT_NAME ecld_offload)
  set_target_properties(ecld_core ecld_profile_format ecld_profile_query ecld_profile_score ecld_offload
                        ecld_offload_door PROPERTIES
                        POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  install(TARGETS ecld_offload_door)
  install(FILES ${CMAKE_SOURCE_DIR}/bindings/c/ecld_offload.h DESTINATION include)
  install(FILES ${CMAKE_SOURCE_DIR}/bindings/python/ecld_offload.py DESTINATION share/ecld/python)
endfunction()

# ecld_program(<name> <main source> <libraries>...)
function(ecld_program name source)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ${ARGN})
  install(TARGETS ${name})
endfunction()

# ecld_embed(<target> <folder with *.yaml or *.csv> <header> <type> <function>): the files become part of the program, as
# what the function returns: a span of <type>{name without its ending, content}.
function(ecld_embed target folder header type function)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.yaml ${CMAKE_SOURCE_DIR}/${folder}/*.csv)
  set(entries "")
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} content)
    string(APPEND entries "    {\"${name}\", R\"embedded(${content})embedded\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  set(source ${CMAKE_BINARY_DIR}/embedded/${function}.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"#include \"@header@\"

namespace ecld {
namespace {

constexpr @type@ kFiles[] = {
@entries@};

}  // namespace

std::span<const @type@> @function@() { return kFiles; }

}  // namespace ecld
")
  target_sources(${target} PRIVATE ${source})
endfunction()
