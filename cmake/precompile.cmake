# The headers that take longest to read, compiled once. Half the time of a build from nothing; but a file that forgets
# one of them compiles all the same, so the build that developers use reads every header.
set(common <fmt/format.h> <nlohmann/json.hpp> <filesystem> <functional> <map> <sstream>)
target_precompile_headers(ecld_core PRIVATE ${common})  # by itself: it may be position independent
target_precompile_headers(ecld_profile_format PRIVATE ${common})  # and these, together
foreach(room profile_query profile_score offload)
  target_precompile_headers(ecld_${room} REUSE_FROM ecld_profile_format)
endforeach()
target_precompile_headers(ecld_jinja PRIVATE ${common})
foreach(room profile_export checkpoint runtime serve measure eval profiler report)
  target_precompile_headers(ecld_${room} REUSE_FROM ecld_jinja)
endforeach()
target_precompile_headers(ecld_cli_device PRIVATE ${common} <CLI/CLI.hpp>)
if(ECLD_WORKBENCH)
  target_precompile_headers(ecld_model PRIVATE ${common} <ATen/ATen.h>)
  foreach(room prune quantize distill recipes search)
    target_precompile_headers(ecld_${room} REUSE_FROM ecld_model)
  endforeach()
  target_precompile_headers(ecld_cli_workbench REUSE_FROM ecld_cli_device)
endif()
# GCC 12 sees overflows in concatenations of strings whose code comes out of a precompiled header.
foreach(warning stringop-overflow stringop-overread array-bounds)
  target_compile_options(ecld_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-${warning}>)
endforeach()
# Else ccache cannot tell that what Clang has precompiled is what it was.
target_compile_options(ecld_flags INTERFACE "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
