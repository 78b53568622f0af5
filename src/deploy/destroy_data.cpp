#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "deploy/destroy.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t delete_batch_max = 1000;  // of DeleteObjects
constexpr int batches_max = 100'000;
constexpr Duration mount_poll = std::chrono::seconds(3);
constexpr Duration mount_timeout = std::chrono::minutes(10);
constexpr std::string_view efs_version = "/2015-02-01/";

/// A repeated element of an XML answer is an array, a single one an object.
std::vector<json::object> elements(const json::object& parent, std::string_view name) {
  std::vector<json::object> out;
  const json::value* value = parent.if_contains(name);
  if (value == nullptr) return out;
  if (value->is_object()) out.push_back(value->get_object());
  if (!value->is_array()) return out;
  for (const json::value& item : value->get_array()) {
    if (item.is_object()) out.push_back(item.get_object());
  }
  return out;
}

std::string escape_xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\r': out += "&#13;"; break;
      default: out += c;
    }
  }
  return out;
}

aws::Fault fault_of(std::string operation, std::string code, std::string message) {
  aws::Fault fault;
  fault.service = "s3";
  fault.operation = std::move(operation);
  fault.code = std::move(code);
  fault.message = std::move(message);
  fault.status = 500;
  return fault;
}

bool is_gone(const aws::Fault& fault) {
  return fault.status == 404 || fault.is("NoSuchBucket") || fault.is("FileSystemNotFound") ||
         fault.is("MountTargetNotFound") || fault.is("AccessPointNotFound") ||
         fault.is("ResourceNotFoundException");
}

Task<aws::Reply<json::object>> ask_efs(aws::Client& client, std::string operation, std::string path,
                                       std::string file_system) {
  aws::Client::RestRequest request;
  request.service = "elasticfilesystem";
  request.operation = std::move(operation);
  request.path = std::string(efs_version) + path;
  request.query = {{"FileSystemId", file_system}};
  const auto reply = co_await client.rest(std::move(request));
  if (!reply) co_return std::unexpected(reply.error());
  json::error_code error;
  const json::value value = json::parse(reply->body, error);
  co_return error || !value.is_object() ? json::object() : value.get_object();
}

Task<aws::Reply<void>> delete_rest(aws::Client& client, std::string service, std::string operation,
                                   std::string bucket, std::string path) {
  aws::Client::RestRequest request;
  request.service = std::move(service);
  request.operation = std::move(operation);
  request.method = "DELETE";
  request.bucket = std::move(bucket);
  request.path = std::move(path);
  const auto reply = co_await client.rest(std::move(request));
  if (!reply && !is_gone(reply.error())) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<std::vector<std::string>>> list_efs(aws::Client& client, std::string operation,
                                                    std::string path, std::string file_system,
                                                    std::string list, std::string id) {
  const auto reply = co_await ask_efs(client, std::move(operation), std::move(path), std::move(file_system));
  std::vector<std::string> out;
  if (!reply) {
    if (is_gone(reply.error())) co_return out;
    co_return std::unexpected(reply.error());
  }
  for (const json::value& item : aws::array(*reply, list)) {
    if (item.is_object()) out.push_back(aws::text(item.get_object(), id));
  }
  co_return out;
}

Task<aws::Reply<void>> remove_file_system(aws::Client& client, Clock& clock, std::string id) {
  const auto points =
      co_await list_efs(client, "DescribeAccessPoints", "access-points", id, "AccessPoints", "AccessPointId");
  if (!points) co_return std::unexpected(points.error());
  for (const std::string& point : *points) {
    const auto gone = co_await delete_rest(client, "elasticfilesystem", "DeleteAccessPoint", "",
                                           fmt::format("{}access-points/{}", efs_version, point));
    if (!gone) co_return gone;
  }
  const TimePoint deadline = clock.now() + mount_timeout;
  std::vector<std::string> asked;
  while (true) {
    const auto targets = co_await list_efs(client, "DescribeMountTargets", "mount-targets", id,
                                           "MountTargets", "MountTargetId");
    if (!targets) co_return std::unexpected(targets.error());
    if (targets->empty() || clock.now() >= deadline) break;
    for (const std::string& target : *targets) {
      if (std::ranges::find(asked, target) != asked.end()) continue;
      asked.push_back(target);
      const auto gone = co_await delete_rest(client, "elasticfilesystem", "DeleteMountTarget", "",
                                             fmt::format("{}mount-targets/{}", efs_version, target));
      if (!gone) co_return gone;
    }
    co_await clock.sleep_for(mount_poll);
  }
  co_return co_await delete_rest(client, "elasticfilesystem", "DeleteFileSystem", "",
                                 fmt::format("{}file-systems/{}", efs_version, id));
}

Task<aws::Reply<void>> delete_versions(aws::Client& client, std::string bucket,
                                       std::vector<ObjectVersion> objects) {
  aws::Client::RestRequest request;
  request.service = "s3";
  request.operation = "DeleteObjects";
  request.method = "POST";
  request.bucket = bucket;
  request.query = {{"delete", ""}};
  request.body = delete_objects_xml(objects);
  request.headers = {{"content-type", "application/xml"}};
  const auto reply = co_await client.rest(std::move(request));
  if (!reply) co_return std::unexpected(reply.error());
  const Result<json::object> answer = aws::xml_to_json(reply->body);
  if (!answer) co_return aws::Reply<void>();  // quiet: an empty result is no error
  const std::vector<json::object> errors = elements(*answer, "Error");
  if (errors.empty()) co_return aws::Reply<void>();
  co_return std::unexpected(
      fault_of("DeleteObjects", aws::text(errors.front(), "Code"),
               fmt::format("{} objects of {} were not deleted; {}: {}", errors.size(), bucket,
                           aws::text(errors.front(), "Key"), aws::text(errors.front(), "Message"))));
}

}  // namespace

std::string delete_objects_xml(const std::vector<ObjectVersion>& objects) {
  std::string out = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const ObjectVersion& object : objects) {
    out += fmt::format("<Object><Key>{}</Key>", escape_xml(object.key));
    // "null" is the version of what was stored before versioning was switched on.
    if (!object.version.empty()) out += fmt::format("<VersionId>{}</VersionId>", escape_xml(object.version));
    out += "</Object>";
  }
  return out + "<Quiet>true</Quiet></Delete>";
}

Task<aws::Reply<std::vector<ObjectVersion>>> first_versions(aws::Client& client, std::string bucket) {
  std::vector<ObjectVersion> objects;
  aws::Client::RestRequest request;
  request.service = "s3";
  request.operation = "ListObjectVersions";
  request.bucket = bucket;
  request.query = {{"versions", ""}, {"max-keys", std::to_string(delete_batch_max)}};
  const auto reply = co_await client.rest(std::move(request));
  if (!reply) {
    if (is_gone(reply.error())) co_return objects;
    co_return std::unexpected(reply.error());
  }
  const Result<json::object> listing = aws::xml_to_json(reply->body);
  if (!listing)
    co_return std::unexpected(fault_of("ListObjectVersions", "BadAnswer", listing.error().message()));
  for (const std::string name : {"Version", "DeleteMarker"}) {
    for (const json::object& item : elements(*listing, name))
      objects.push_back({.key = aws::text(item, "Key"), .version = aws::text(item, "VersionId")});
  }
  co_return objects;
}

Task<aws::Reply<std::size_t>> empty_bucket(aws::Client& client, std::string bucket) {
  std::size_t count = 0;
  // What is listed first is deleted before the next listing, so no marker is needed.
  for (int batch = 0; batch < batches_max; ++batch) {
    auto objects = co_await first_versions(client, bucket);
    if (!objects) co_return std::unexpected(objects.error());
    if (objects->empty()) co_return count;
    count += objects->size();
    const auto deleted = co_await delete_versions(client, bucket, std::move(*objects));
    if (!deleted) co_return std::unexpected(deleted.error());
  }
  co_return count;
}

Task<aws::Reply<void>> remove_data(aws::Client& client, Clock& clock, Keepsake keepsake) {
  if (keepsake.kind == Keepsake::Kind::file_system)
    co_return co_await remove_file_system(client, clock, keepsake.id);
  if (keepsake.kind == Keepsake::Kind::bucket) {
    const auto emptied = co_await empty_bucket(client, keepsake.id);
    if (!emptied) co_return std::unexpected(emptied.error());
    co_return co_await delete_rest(client, "s3", "DeleteBucket", keepsake.id, "/");
  }
  json::object input{{"logGroupName", keepsake.id}};
  const auto reply = co_await client.call("logs", "DeleteLogGroup", std::move(input));
  if (!reply && !is_gone(reply.error())) co_return std::unexpected(reply.error());
  co_return aws::Reply<void>();
}

Task<aws::Reply<std::optional<Keepsake>>> find_data(aws::Client& client, Keepsake keepsake) {
  std::optional<Keepsake> found;
  if (keepsake.kind == Keepsake::Kind::file_system) {
    const auto reply = co_await ask_efs(client, "DescribeFileSystems", "file-systems", keepsake.id);
    if (!reply && !is_gone(reply.error())) co_return std::unexpected(reply.error());
    const json::array& systems = reply ? aws::array(*reply, "FileSystems") : aws::array(json::object(), "");
    for (const json::value& item : systems) {
      if (!item.is_object() || aws::text(item.get_object(), "FileSystemId") != keepsake.id) continue;
      if (aws::text(item.get_object(), "LifeCycleState").starts_with("delet")) continue;
      const json::value* size = aws::object(item.get_object(), "SizeInBytes").if_contains("Value");
      if (size != nullptr && size->is_number()) keepsake.bytes = size->to_number<std::uint64_t>();
      found = keepsake;
    }
    co_return found;
  }
  if (keepsake.kind == Keepsake::Kind::bucket) {
    aws::Client::RestRequest request;
    request.service = "s3";
    request.operation = "HeadBucket";
    request.method = "HEAD";
    request.bucket = keepsake.id;
    const auto reply = co_await client.rest(std::move(request));
    if (!reply && !is_gone(reply.error())) co_return std::unexpected(reply.error());
    if (reply) found = keepsake;
    co_return found;
  }
  json::object input{{"logGroupNamePrefix", keepsake.id}};
  const auto groups = co_await client.list("logs", "DescribeLogGroups", std::move(input), "logGroups");
  if (!groups) co_return std::unexpected(groups.error());
  for (const json::value& item : *groups) {
    if (!item.is_object() || aws::text(item.get_object(), "logGroupName") != keepsake.id) continue;
    const json::value* size = item.get_object().if_contains("storedBytes");
    if (size != nullptr && size->is_number()) keepsake.bytes = size->to_number<std::uint64_t>();
    found = keepsake;
  }
  co_return found;
}

}  // namespace berth::deploy
