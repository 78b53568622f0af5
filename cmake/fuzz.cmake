if(BERTH_FUZZ)
  add_custom_target(fuzzers)  # all of them
endif()

# berth_fuzzer(name file [libraries…])
#   name       short name of the input format: test/corpus/<name>/ holds its inputs
#   file       defines LLVMFuzzerTestOneInput; relative to the calling folder
#   libraries  berth libraries by short name (codec, mcp, …) or third-party targets (with ::)
# The fuzz preset makes the libFuzzer program <name>_fuzz. Presets with tests make <name>_corpus instead, which
# feeds the stored inputs to the same function: ctest label "corpus". Other presets make nothing.
function(berth_fuzzer name file)
  set(libraries ${ARGN})
  list(TRANSFORM libraries REPLACE "^(berth_)?([a-z_]+)$" "berth_\\2")
  if(BERTH_FUZZ)
    add_executable(${name}_fuzz ${file})
    target_link_libraries(${name}_fuzz PRIVATE ${libraries})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${name}_fuzz)
  elseif(BERTH_TESTS)
    add_executable(${name}_corpus ${file} ${CMAKE_SOURCE_DIR}/test/corpus/replay.cpp)
    target_link_libraries(${name}_corpus PRIVATE ${libraries})
    add_test(NAME corpus.${name} COMMAND ${name}_corpus ${CMAKE_SOURCE_DIR}/test/corpus/${name})
    set_tests_properties(corpus.${name} PROPERTIES LABELS corpus TIMEOUT 120)
  endif()
endfunction()
