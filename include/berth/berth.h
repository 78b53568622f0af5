#pragma once

/// Everything for writing an MCP server; each header is its own manual.
#include "berth/call.h"      // what a running call can do: progress, log, ask the user
#include "berth/content.h"   // what handlers give back
#include "berth/describe.h"  // arguments and results as structs
#include "berth/run.h"       // serving it
#include "berth/server.h"    // tools, resources, prompts
