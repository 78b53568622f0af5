#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

/// Reading a template document: resources by type, values by path, references by logical id.
namespace berth::deploy {

struct Resource {
  std::string id;
  std::string type;                                 ///< "AWS::ECS::Service"
  const boost::json::object* whole = nullptr;       ///< with DependsOn, DeletionPolicy …
  const boost::json::object* properties = nullptr;  ///< never null
};

/// The resources of the base and the service template as one. The objects given must outlive it.
class Document {
 public:
  Document(const boost::json::object& base, const boost::json::object& service);

  const std::vector<Resource>& all() const { return resources_; }
  std::vector<Resource> of_type(std::string_view type) const;
  std::size_t count(std::string_view type) const { return of_type(type).size(); }
  /// nullptr when no resource has this logical id.
  const Resource* find(std::string_view id) const;

 private:
  void add(const boost::json::object& document);
  std::vector<Resource> resources_;
};

/// The value under "A.B.C", or nullptr when a step is missing or no object.
const boost::json::value* at(const boost::json::object& object, std::string_view path);
/// The string, number or boolean under `path` as text; "" for anything else.
std::string text_at(const boost::json::object& object, std::string_view path);
/// The elements under `path`; a single value counts as a list of one, a missing one as none.
std::vector<const boost::json::value*> list_at(const boost::json::object& object, std::string_view path);
/// True for true and "true".
bool true_at(const boost::json::object& object, std::string_view path);
/// The value as text: a scalar as it is, {"Fn::Sub": "x"} as "x", anything else as JSON.
std::string text_of(const boost::json::value& value);

/// The logical id that a value refers to by Ref, Fn::GetAtt or as the only variable of Fn::Sub; "" for none.
std::string referred(const boost::json::value& value);
/// Whether `value` refers to `id` anywhere inside.
bool refers_to(const boost::json::value& value, std::string_view id);

}  // namespace berth::deploy
