# What makes a cold build cheap: several files of a library compiled at once (CONTRIBUTING.md). File-local names
# are therefore unique in a library; tests are compiled file by file. A local that shadows another file's constant
# is no fault, so that warning is left to builds file by file (preset files).
option(BERTH_UNITY "Compile several files of a library at once: a cold build costs a third" OFF)

function(berth_quick_build target)
  if(BERTH_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    target_compile_options(${target} PRIVATE -Wno-shadow)
  endif()
endfunction()
