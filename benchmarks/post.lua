-- wrk posts the file BODY, with the header AUTHORIZATION if it is set, and prints one line of JSON.
-- With SAMPLED_EVERY set one request of so many is of a trace that is recorded.
-- With DIFFERING set each request has an id and a trace of its own, as real clients send them.
local file = io.open(os.getenv("BODY"), "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.headers["Content-Type"] = "application/json"
if os.getenv("AUTHORIZATION") then wrk.headers["Authorization"] = os.getenv("AUTHORIZATION") end

local every = tonumber(os.getenv("SAMPLED_EVERY") or "0")
if every > 0 then
  local number, plain = 0, nil
  function request()
    number = number + 1
    plain = plain or wrk.format()
    if number % every > 0 then return plain end
    local trace = string.format("00-%016x%016x-%016x-01", os.time(), number, number)
    return wrk.format(nil, nil, {
      ["Content-Type"] = wrk.headers["Content-Type"], ["Authorization"] = wrk.headers["Authorization"],
      ["Host"] = wrk.headers["Host"], ["traceparent"] = trace,
    })
  end
end

if os.getenv("DIFFERING") then
  local number, start = 0, os.time()
  function request()
    number = number + 1
    local name = string.format("%016x%016x", start, number)
    wrk.headers["X-Request-Id"] = name
    wrk.headers["traceparent"] = string.format("00-%s-%016x-01", name, number)
    return wrk.format()
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  local line = '{"requests": %d, "microseconds": %d, "p50_microseconds": %d, '
    .. '"p99_microseconds": %d, "refused": %d, "broken": %d, "timeouts": %d}\n'
  io.write(string.format(
    line, summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout
  ))
end
