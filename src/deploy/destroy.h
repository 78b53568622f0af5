#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "aws/client.h"
#include "deploy/progress.h"
#include "deploy/record.h"
#include "deploy/stack_apply.h"
#include "deploy/template.h"

/// `berth destroy`: everything that costs money goes; data only when that was said.
namespace berth::deploy {

/// Something that holds what cannot be made again.
struct Keepsake {
  enum class Kind : std::uint8_t { file_system, bucket, log_group } kind = Kind::file_system;
  std::string id;                      ///< "fs-…", a bucket's name, "/berth/name"
  std::optional<std::uint64_t> bytes;  ///< where AWS tells
  bool operator==(const Keepsake&) const = default;
};
std::string_view to_string(Keepsake::Kind kind);
/// Adds what a resource of CloudFormation keeps, if it is one that holds data, once.
void add_keepsake(std::vector<Keepsake>& data, const std::string& type, const std::string& physical);
/// For the record.
Kept to_kept(const Keepsake& keepsake);
/// "about $0.31 a month", or the price of a gigabyte where the size is not known.
std::string price_of(const Keepsake& keepsake);

/// What is there.
struct Standing {
  StackState service;
  StackState base;
  std::size_t resources = 0;  ///< of both stacks
  std::vector<Keepsake> data;
  std::string repository;            ///< empty: none
  std::vector<std::string> secrets;  ///< ARNs
  bool nothing() const { return !service.exists() && !base.exists() && data.empty() && repository.empty(); }
};
/// Asks for the stacks, for what they have left standing before, and for the data of stacks that are gone by
/// what `record`, which is this service's, remembers. Data that another standing stack names is left out.
Task<Result<Standing>> look_around(aws::Client& client, Names names, std::optional<Record> record);

enum class DataFate : std::uint8_t { keep, remove };
struct DestroyOptions {
  DataFate data = DataFate::keep;
  /// Secrets go at once, without Secrets Manager's recovery window.
  bool forget_secrets = false;
};

/// Writes into the record of the service what is about to be destroyed: whoever is interrupted between the
/// end of the stacks and that of their data would not find the data again.
Result<void> record_standing(const std::string& state_directory, Record record, const Standing& standing);

/// What is there afterwards, verified by asking.
struct Remains {
  std::vector<Keepsake> data;
  std::vector<std::string> others;  ///< sentences: what is left and why, and what it costs
};

/// Each step looks first, so the same command again continues where it stopped. conflict with the explanation
/// when a stack cannot be deleted.
Task<Result<Remains>> destroy(StackWorld world, Names names, Standing standing, DestroyOptions options);

/// The record, by which kept data is found again; it goes when nothing remains.
Result<void> record_remains(const std::string& state_directory, Record record, const Remains& remains);

// ---- removing data (destroy_data.cpp) ----

/// Deletes every version and delete marker; returns how many. A bucket that is not there has none.
Task<aws::Reply<std::size_t>> empty_bucket(aws::Client& client, std::string bucket);
/// The XML of DeleteObjects (S3 API reference), `quiet`.
struct ObjectVersion {
  std::string key;
  std::string version;
};
std::string delete_objects_xml(const std::vector<ObjectVersion>& objects);

/// What the bucket holds, delete markers too: the first thousand. A bucket that is not there holds nothing.
Task<aws::Reply<std::vector<ObjectVersion>>> first_versions(aws::Client& client, std::string bucket);

/// With everything that hangs on it: access points, mount targets, the bucket's content.
Task<aws::Reply<void>> remove_data(aws::Client& client, Clock& clock, Keepsake keepsake);
/// Whether it is there, and how large it is.
Task<aws::Reply<std::optional<Keepsake>>> find_data(aws::Client& client, Keepsake keepsake);

}  // namespace berth::deploy
