#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace berth::model::testing {

/// The text of a file of the repository, by its path from the root; empty if there is none.
inline std::string repository_file(const std::string& path) {
  std::ifstream file(std::string(BERTH_SOURCE_DIR "/") + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Expects `actual` to be what test/golden/`name` holds. With UPDATE_GOLDEN=1 in the environment the file is
/// rewritten
/// instead, so that a changed text is a reviewed diff.
inline void expect_golden(const std::string& name, const std::string& actual) {
  std::string path = "test/golden/" + name;
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(std::string(BERTH_SOURCE_DIR "/") + path) << actual;
    return;
  }
  EXPECT_EQ(repository_file(path), actual) << path << " differs; UPDATE_GOLDEN=1 rewrites it";
}

}  // namespace berth::model::testing
