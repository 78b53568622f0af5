-- wrk: tools/call with a fresh id each time; every answer is read and must hold the text that was sent.
-- Environment: BENCH_TOOL, BENCH_ERA (modern | legacy), BENCH_SESSIONS (file, one session id a line).

local tool = os.getenv("BENCH_TOOL") or "echo"
local modern = os.getenv("BENCH_ERA") ~= "legacy"
local text = "hello world"
local sessions = {}
local next_id = 0
local threads = {}

local file = os.getenv("BENCH_SESSIONS")
if file and file ~= "" then
  for line in io.lines(file) do sessions[#sessions + 1] = line end
end

local headers = {
  ["Content-Type"] = "application/json",
  ["Accept"] = "application/json, text/event-stream",
}
local head = '{"jsonrpc":"2.0","id":'
local tail = ',"method":"tools/call","params":{"name":"' .. tool ..
  '","arguments":{"message":"' .. text .. '"}'
if modern then
  headers["MCP-Protocol-Version"] = "2026-07-28"
  headers["Mcp-Method"] = "tools/call"
  headers["Mcp-Name"] = tool
  tail = tail .. ',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' ..
    '"io.modelcontextprotocol/clientCapabilities":{},' ..
    '"io.modelcontextprotocol/clientInfo":{"name":"wrk","version":"1"}}}}'
else
  headers["MCP-Protocol-Version"] = "2025-11-25"
  tail = tail .. "}}"
end

function setup(thread) threads[#threads + 1] = thread end

function init()
  right, wrong, sample = 0, 0, ""
end

function request()
  next_id = next_id + 1
  if #sessions > 0 then headers["Mcp-Session-Id"] = sessions[next_id % #sessions + 1] end
  return wrk.format("POST", nil, headers, head .. next_id .. tail)
end

function response(status, _, body)
  if status == 200 and body:find(text, 1, true) and not body:find('"isError":true', 1, true) then
    right = right + 1
  else
    wrong = wrong + 1
    if sample == "" then sample = status .. " " .. body:sub(1, 200) end
  end
end

function done(summary, latency)
  local all_right, all_wrong, one = 0, 0, ""
  for _, thread in ipairs(threads) do
    all_right = all_right + thread:get("right")
    all_wrong = all_wrong + thread:get("wrong")
    if thread:get("sample") ~= "" then one = thread:get("sample") end
  end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d %d\n", all_right, all_wrong, lost, summary.duration,
    latency:percentile(50), latency:percentile(99)))
  if one ~= "" then io.write("SAMPLE " .. one:gsub("[\r\n]", " ") .. "\n") end
end
