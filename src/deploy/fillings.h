#pragma once

#include "deploy/compose.h"
#include "model/spec.h"

/// What a spec puts into the places of infra/.
namespace berth::deploy {

Fillings base_fillings(const model::Spec& spec);
Fillings service_fillings(const model::Spec& spec);

/// Whether an API key is made: nobody else's keys are asked for, and the service is not open.
bool makes_api_key(const model::Spec& spec);

/// Parts of service_fillings, one a file.
void fill_network(const model::Spec& spec, Fillings& fillings);
void fill_front(const model::Spec& spec, Fillings& fillings);
void fill_tasks(const model::Spec& spec, Fillings& fillings);

/// {"Ref": name}, {"Fn::GetAtt": [id, attribute]}, {"Fn::Sub": text}.
boost::json::value reference(const std::string& name);
boost::json::value get_att(const std::string& id, const std::string& attribute);
boost::json::value sub(const std::string& text);
/// null for an empty text: the line is left out.
boost::json::value text_or_nothing(const std::string& text);

/// Zones of the tasks, counted: as many as subnets with an existing VPC, else tasks.zones.
std::size_t zone_count(const model::Spec& spec);
/// "A", "B", …
std::string zone_letter(std::size_t index);

/// Block number `index` of the blocks with `bits` more prefix bits than `cidr`: ("10.20.0.0/16", 4, 1) is
/// "10.20.16.0/20".
std::string subnet_of(const std::string& cidr, unsigned bits, unsigned index);

}  // namespace berth::deploy
