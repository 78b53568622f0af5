# Warnings are errors. The list is short enough to be obeyed; see CONTRIBUTING.md.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "Berth is built with clang 19 or newer; configure with one of the presets (cmake --preset dev).")
endif()

add_compile_options(
  -Werror -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast
  -Wcast-align -Wcast-qual -Wconversion -Wsign-conversion -Wformat=2 -Wimplicit-fallthrough
  -Wsuggest-override -Wextra-semi -Wundef -Wredundant-decls -Wunused -Wno-missing-field-initializers
  -Wno-deprecated-declarations)
add_compile_definitions(
  _GLIBCXX_ASSERTIONS
  FMT_HEADER_ONLY
  BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_SEPARATE_COMPILATION)
add_link_options(-fuse-ld=lld)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fstack-protector-strong -ffunction-sections -fdata-sections)
  add_compile_definitions(_FORTIFY_SOURCE=2)
  add_link_options(-Wl,--gc-sections -Wl,--icf=safe -Wl,-z,relro,-z,now)
  if(BERTH_STATIC)
    # Without symbols: what users download and what goes into the container image is this file.
    add_link_options(-static -Wl,--strip-all)
  endif()
endif()

if(BERTH_SANITIZE)
  add_compile_options(-fsanitize=${BERTH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BERTH_SANITIZE})
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Paths are made relative, so that every build folder and every clone shares the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()
