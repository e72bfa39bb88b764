-- For wrk: one request again and again, as the environment says, and what came of it as one line of JSON.
wrk.method = "POST"
wrk.body = os.getenv("BODY")
wrk.headers["Content-Type"] = "application/json"
if os.getenv("CREDENTIAL") then
  wrk.headers["Authorization"] = os.getenv("CREDENTIAL")
end

done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
