-- Plays a file of requests, METHOD TAB PATH TAB TOKEN TAB BODY a line, from a random place on. "@N@" in a body or in
-- REQUEST_HEADERS ("Name: value") becomes a number that no other request of the run has. Ends with one line of JSON.
local requests, at, serial, thread = {}, 0, 0, 0
local hole = "@NNNNNNNNNNNNNN@" -- as wide as the number that takes its place

function setup(t)
  thread = thread + 1
  t:set("id", thread)
end

function init()
  local name, value = (os.getenv("REQUEST_HEADERS") or ""):match("^([^:]+): (.+)$")
  for line in io.lines(os.getenv("REQUEST_FILE")) do
    local method, path, token, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = {}
    if name then headers[name] = value:gsub("@N@", hole) end
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
    requests[#requests + 1] = wrk.format(method, path, headers, body and body:gsub("@N@", hole))
  end
  math.randomseed(os.time() + id * 7919)
  at = math.random(#requests)
  serial = os.time() % 1000000 * 100000000 + id * 10000000
end

function request()
  at = at % #requests + 1
  local r = requests[at]
  if not r:find(hole, 1, true) then return r end
  serial = serial + 1
  return (r:gsub(hole, string.format("%016.0f", serial)))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format(
    'RESULT {"requests":%d,"seconds":%.3f,"p50":%.3f,"p99":%.3f,"status":%d,"socket":%d}', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, e.status,
    e.connect + e.read + e.write + e.timeout))
end
