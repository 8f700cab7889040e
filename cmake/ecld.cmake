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

# ecld_room(<folder> <libraries>...): library ecld_<folder with _> from every .cpp below the folder.
function(ecld_room folder)
  string(REPLACE "/" "_" name ecld_${folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ecld_flags ${ARGN})
endfunction()

# ecld_program(<name> <main source> <libraries>...)
function(ecld_program name source)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE ${ARGN})
  install(TARGETS ${name})
endfunction()
