#pragma once

#include <optional>
#include <string>
#include <vector>

#include "deploy/diagram.h"

/// What a drawing says, apart from where: shared by the SVG and the Mermaid text.
namespace berth::deploy {

struct DrawnTask {
  bool spot = false;
  std::string health;  ///< empty: not deployed
};

struct DrawnZone {
  std::string name;
  bool nat = false;
  std::vector<DrawnTask> tasks;
};

/// A box beside the VPC: a title and at most two lines.
struct DrawnPart {
  enum class Kind : unsigned char { compute, storage, security, monitoring } kind = Kind::compute;
  std::string name;
  std::vector<std::string> lines;
  bool called_by_tasks = true;  ///< a line leads from the tasks to it
};

struct Drawing {
  enum class WayIn : unsigned char { cloudfront, domain, internal } way_in = WayIn::cloudfront;
  std::string title;                  ///< "demo"
  std::string subtitle;               ///< what it is, in one line
  std::string region;                 ///< "AWS, us-west-2"; "AWS" where it is not said
  std::string vpc;                    ///< "VPC 10.20.0.0/16"
  std::string clients;                ///< line under "MCP clients"
  std::string address;                ///< what clients call
  std::vector<std::string> balancer;  ///< lines under "Application Load Balancer"
  std::string service;                ///< head of the group of tasks
  std::string task_size;              ///< "0.5 vCPU · 1 GB"
  std::vector<DrawnZone> zones;
  bool endpoints = false;
  bool public_subnets = false;  ///< drawn: something is in them
  bool balancer_in_public = false;
  std::vector<DrawnPart> parts;
  std::string footer;
  std::string description;  ///< the picture in words, for those who do not see it
};

Drawing draw(const model::Spec& spec, const std::optional<LiveState>& live);

}  // namespace berth::deploy
