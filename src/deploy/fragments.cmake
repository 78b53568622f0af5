# The fragments of infra/ as part of the program: fragments.cpp in the build folder.
file(GLOB fragment_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/infra/*.yaml)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${fragment_files})
set(fragments "")
foreach(fragment_file ${fragment_files})
  get_filename_component(fragment_name ${fragment_file} NAME)
  file(READ ${fragment_file} fragment_text)
  string(APPEND fragments "      {\"${fragment_name}\", R\"fragment(${fragment_text})fragment\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/fragments.cpp @ONLY CONTENT [[
#include "deploy/compose.h"

namespace berth::deploy {

const std::vector<Fragment>& all_fragments() {
  static const std::vector<Fragment> all{
@fragments@  };
  return all;
}

}  // namespace berth::deploy
]])
