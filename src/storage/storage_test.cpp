#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "storage/artifacts.h"
#include "storage/files.h"
#include "storage/shared_state.h"

namespace berth::storage {
namespace {

/// A folder that is removed with everything in it.
class Folder {
 public:
  Folder() {
    std::string pattern = ::testing::TempDir() + "berth-storage-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  static void remove_all(const std::string& path) {
    const auto names = list_names(path);
    if (names) {
      for (const std::string& name : *names) remove_all(path + "/" + name);
    }
    if (!remove_folder(path)) remove_quietly(path);
  }
  std::string path_;
};

class SharedStateTest : public ::testing::Test {
 protected:
  SharedStateTest() { open({}); }
  void open(StateLimits limits) {
    auto made = make_shared_state(folder.path() + "/data/state", limits);
    ASSERT_TRUE(made);
    state = *std::move(made);
  }
  std::string put(std::string key, std::string value, std::optional<std::int64_t> expected = std::nullopt) {
    const auto version = state->put({.key = std::move(key),
                                     .value = std::move(value),
                                     .expected = expected,
                                     .writer = "ada",
                                     .now = now});
    return version ? std::to_string(*version) : version.error().message();
  }
  std::string erase(std::string key, std::optional<std::int64_t> expected = std::nullopt) {
    const auto version =
        state->erase({.key = std::move(key), .value = {}, .expected = expected, .writer = "ada", .now = now});
    return version ? std::to_string(*version) : version.error().message();
  }
  std::string get(std::string_view key) {
    const auto entry = state->get(key);
    if (!entry) return entry.error().message();
    return entry->value + "@" + std::to_string(entry->version) + " by " + entry->writer;
  }
  std::string list(std::string_view prefix, std::string_view after = {}, std::size_t count = 100) {
    const auto page = state->list(prefix, after, count);
    if (!page) return page.error().message();
    std::string text;
    for (const auto& entry : page->entries) text += entry.key + "@" + std::to_string(entry.version) + " ";
    return text + (page->next.empty() ? "." : "then " + page->next);
  }

  Folder folder;
  WallTime now{std::chrono::hours(24 * 20'000)};
  std::unique_ptr<SharedState> state;
};

TEST_F(SharedStateTest, KeepsTheLastValueAndCountsVersions) {
  EXPECT_EQ(get("a"), "There is no state under the key 'a'.");
  EXPECT_EQ(put("a", "one"), "1");
  EXPECT_EQ(put("a", "two\nlines"), "2");
  EXPECT_EQ(get("a"), "two\nlines@2 by ada");
  EXPECT_EQ(state->get("a")->written_unix_ms, to_unix_ms(now));
}

TEST_F(SharedStateTest, ComparesBeforeItSets) {
  EXPECT_EQ(put("a", "x", 3),
            "'a' was expected at version 3, but it does not exist. Read it again and decide anew.");
  EXPECT_EQ(put("a", "x", 0), "1");
  EXPECT_EQ(put("a", "y", 0),
            "'a' was expected at version 0, but it is at version 1. Read it again and decide anew.");
  EXPECT_EQ(put("a", "y", 1), "2");
  EXPECT_EQ(erase("a", 1),
            "'a' was expected at version 1, but it is at version 2. Read it again and decide anew.");
}

TEST_F(SharedStateTest, ADeletedKeyIsGoneAndItsVersionsGoOn) {
  EXPECT_EQ(erase("a"), "There is no state under the key 'a'.");
  put("a", "x");
  EXPECT_EQ(erase("a", 1), "2");
  EXPECT_EQ(get("a"), "There is no state under the key 'a'.");
  EXPECT_EQ(erase("a"), "There is no state under the key 'a'.");
  EXPECT_EQ(list(""), ".");
  EXPECT_EQ(put("a", "back", 0), "3");
}

TEST_F(SharedStateTest, TakesAnyKeyAndListsByPrefixInOrder) {
  const std::string long_a(512, 'a');
  const std::string strange = "ä/../\n%~";
  for (const std::string& key : {long_a, strange, std::string("b/2"), std::string("b/1"), std::string("b")}) {
    EXPECT_EQ(put(key, key), "1");
    EXPECT_EQ(get(key), key + "@1 by ada");
  }
  EXPECT_EQ(list(""), long_a + "@1 b@1 b/1@1 b/2@1 " + strange + "@1 .");
  EXPECT_EQ(list("b/"), "b/1@1 b/2@1 .");
  EXPECT_EQ(list("aaa"), long_a + "@1 .");
  EXPECT_EQ(list("b", "", 2), "b@1 b/1@1 then b/1");
  EXPECT_EQ(list("b", "b/1", 2), "b/2@1 .");
  EXPECT_EQ(put("", "x"), "A key has 1 to 512 bytes, not 0.");
  EXPECT_EQ(put(std::string(513, 'k'), "x"), "A key has 1 to 512 bytes, not 513.");
}

TEST_F(SharedStateTest, HoldsItsLimitsAndForgetsDeletedKeysAfterADay) {
  open({.value_bytes_max = 4, .keys_max = 2});
  EXPECT_EQ(put("a", "12345"), "The value of 'a' has 5 bytes; at most 4 are kept. Store it as an artifact.");
  put("a", "1");
  put("b", "1");
  const std::string full = "There are 2 keys; at most 2 are kept. Keep more in one value, or as artifacts.";
  EXPECT_EQ(put("c", "1"), full);
  EXPECT_EQ(put("a", "2"), "2");
  erase("b");
  EXPECT_EQ(put("c", "1"), full);
  now += std::chrono::hours(25);
  EXPECT_EQ(put("c", "1"), "1");
  EXPECT_EQ(list(""), "a@2 c@1 .");
}

TEST_F(SharedStateTest, OldVersionsArePruned) {
  for (int i = 0; i < 200; ++i) put("a", std::to_string(i));
  EXPECT_LE(list_names(folder.path() + "/data/state/a")->size(), 50u);
  EXPECT_EQ(get("a"), "199@200 by ada");
}

TEST_F(SharedStateTest, AWriteThatWasCutShortIsFinishedByTheNextReader) {
  put("a", "one");
  put("a", "two");
  const std::string key_folder = folder.path() + "/data/state/a";
  // As if the second writer had died before it moved the head, and left its temporary file.
  ASSERT_TRUE(link_exclusively(key_folder + "/1", key_folder + "/tmp.left"));
  ASSERT_TRUE(replace(key_folder + "/tmp.left", key_folder + "/head"));
  EXPECT_EQ(get("a"), "two@2 by ada");
  EXPECT_EQ(*read_file(key_folder + "/head", 1000), *read_file(key_folder + "/2", 1000));
  EXPECT_EQ(put("a", "three", 2), "3");
}

TEST_F(SharedStateTest, DamageIsNamed) {
  put("a", "one");
  const auto junk = write_temporary(folder.path() + "/data/state/a", "junk", "");
  ASSERT_TRUE(replace(*junk, folder.path() + "/data/state/a/head"));
  EXPECT_EQ(get("a"),
            "'" + folder.path() + "/data/state/a/head' is not a version of shared state; remove it.");
}

int increment_in_this_process(SharedState& state, int times) {
  for (int done = 0; done < times;) {
    const auto before = state.get("counter");
    const std::int64_t version = before ? before->version : 0;
    const int count = before ? std::atoi(before->value.c_str()) : 0;
    const auto written = state.put({.key = "counter",
                                    .value = std::to_string(count + 1),
                                    .expected = version,
                                    .writer = "w",
                                    .now = {}});
    if (written) {
      ++done;
    } else if (written.error().code() != ErrorCode::conflict) {
      return 1;
    }
  }
  return 0;
}

TEST_F(SharedStateTest, ManyProcessesIncrementingLoseNothing) {
  constexpr int processes = 6;
  constexpr int times = 60;
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(increment_in_this_process(*state, times));
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(get("counter"),
            std::to_string(processes * times) + "@" + std::to_string(processes * times) + " by w");
}

TEST(SharedState, AFolderThatCannotBeMadeIsAnError) {
  const auto made = make_shared_state("/proc/nowhere/state");
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().message().starts_with("shared state: cannot make folder '/proc/nowhere'"));
}

TEST(Artifacts, AreStoredWholeAndListed) {
  const Folder folder;
  const auto store = *make_artifact_store(folder.path() + "/artifacts");
  EXPECT_EQ(store->get("a").error().message(), "There is no artifact named 'a'.");
  std::string bytes = "line\n";
  bytes += '\0';
  bytes += "\xff";
  const auto info =
      store->put({.name = "report/1.bin", .media_type = {}, .bytes = bytes, .writer = "ada", .now = {}});
  ASSERT_TRUE(info);
  EXPECT_EQ(info->media_type, "application/octet-stream");
  EXPECT_EQ(info->size, 7u);
  const auto back = store->get("report/1.bin");
  ASSERT_TRUE(back);
  EXPECT_EQ(back->bytes, bytes);
  EXPECT_EQ(back->info, *info);
  ASSERT_TRUE(store->put(
      {.name = "report/1.bin", .media_type = "text/plain", .bytes = "new", .writer = "b", .now = {}}));
  ASSERT_TRUE(
      store->put({.name = "other", .media_type = "text/plain", .bytes = "", .writer = "b", .now = {}}));
  EXPECT_EQ(store->list("", "", 10)->artifacts.size(), 2u);
  EXPECT_EQ(store->list("report/", "", 10)->artifacts.front().size, 3u);
  EXPECT_EQ(store->list("", "", 1)->next, "other");
  EXPECT_EQ(store->list("", "other", 1)->artifacts.front().name, "report/1.bin");
}

TEST(Artifacts, HoldTheirLimitsAndTellDamage) {
  const Folder folder;
  const auto store = *make_artifact_store(folder.path(), {.bytes_max = 4, .artifacts_max = 1});
  const auto put = [&store](std::string name, std::string bytes) {
    const auto info = store->put(
        {.name = std::move(name), .media_type = {}, .bytes = std::move(bytes), .writer = {}, .now = {}});
    return info ? "ok" : info.error().message();
  };
  EXPECT_EQ(put("", ""), "An artifact's name has 1 to 512 bytes, not 0.");
  EXPECT_EQ(put("a", "12345"), "'a' has 5 bytes; an artifact has at most 4.");
  EXPECT_EQ(put("a", "1234"), "ok");
  EXPECT_EQ(put("b", "1"), "There are 1 artifacts; at most 1 are kept.");
  EXPECT_EQ(put("a", "4321"), "ok");
  const auto text = read_file(folder.path() + "/a", 1000);
  ASSERT_TRUE(text);
  const auto damaged = write_temporary(folder.path(), text->substr(0, text->size() - 1), "X");
  ASSERT_TRUE(replace(*damaged, folder.path() + "/a"));
  EXPECT_EQ(store->get("a").error().message(),
            "'" + folder.path() + "/a' is damaged: its content does not match its SHA-256.");
}

TEST(Sha256, OfAbcIsTheOneOfTheStandard) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace berth::storage
