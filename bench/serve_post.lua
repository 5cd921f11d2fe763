-- serve_post.lua - for wrk: posts the picture that $OC_BENCH_PICTURE names.
local f = assert(io.open(os.getenv("OC_BENCH_PICTURE"), "rb"))
wrk.method = "POST"
wrk.body = f:read("*a")
wrk.headers["Content-Type"] = "image/jpeg"

function done(summary, latency, requests)
    io.write(string.format(
        "%.1f requests/s, p50 %.1f ms, p99 %.1f ms, errors %d, %d in all\n",
        summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        summary.errors.connect + summary.errors.read + summary.errors.write +
        summary.errors.status + summary.errors.timeout, summary.requests))
end
