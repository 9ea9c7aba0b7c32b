-- Sends one body again and again; says in JSON what came of it. wrk … -s load.lua URL -- FILE
function init(arguments)
  local file = assert(io.open(arguments[1], "r"))
  wrk.method = "POST"
  wrk.body = file:read("*l")
  wrk.headers["Content-Type"] = "application/json"
  file:close()
end

function done(summary, latency, requests)
  local errors = summary.errors
  local form = '{"requests": %d, "seconds": %.6f, "p50": %.1f, "p99": %.1f, "refused": %d, "broken": %d}\n'
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(form, summary.requests, summary.duration / 1e6, latency:percentile(50),
    latency:percentile(99), errors.status, broken))
end
