-- wrk: one fixed POST with 347 bytes of body, no work per answer; `done` checks number, status and mean size.

local message = string.rep("x", 60)
local body = '{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"echo",' ..
  '"arguments":{"message":"' .. message .. '"},' ..
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' ..
  '"io.modelcontextprotocol/clientInfo":{"name":"wrk","version":"1"},' ..
  '"io.modelcontextprotocol/clientCapabilities":{}'
body = body .. string.rep(" ", 347 - 3 - #body) .. "}}}"

wrk.method = "POST"
wrk.body = body
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2026-07-28"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "echo"

function done(summary, latency)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests - errors.status, errors.status, lost,
    summary.duration, latency:percentile(50), latency:percentile(99)))
  io.write(string.format("SIZE %.1f\n", summary.bytes / math.max(summary.requests, 1)))
end
