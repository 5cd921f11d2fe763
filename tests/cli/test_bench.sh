#!/bin/sh
# test_bench.sh: ocelli bench and ocelli devices.
. "$(dirname "$0")/tap.sh"

zeros=
for _ in 1 2 3 4; do
    zeros="$zeros"'\000\000\000\000'
done
model "$(node MatMul h x w)$(node Relu y h)" "$(weight w 1 "$zeros" 2 2)" \
    "$(input x 1 N 2)" "$(output y 1 N 2)" >small.onnx

# ---- bench -----------------------------------------------------------------

passes "bench prints times" '^median run +[0-9.]+  ms$' \
    bench small.onnx --time 0.05
ok "bench prints throughput and memory" prints '^memory +[0-9.]+  MiB$'
run bench small.onnx --time 0.05 --threads 1 --json
json "bench --json has every figure" 'all(d[k] > 0 for k in ("load_ms",
    "first_ms", "min_ms", "median_ms", "p99_ms", "throughput", "rss_mb"))'
json "bench --json has times in order" \
    'd["min_ms"] <= d["median_ms"] <= d["p99_ms"]'
json "bench --json says how it ran" 'd["threads"] == 1 and d["runs"] >= 3'
json "bench measures as long as it is told" \
    '40 < d["runs"] / d["throughput"] * 1e3 < 1000'
json "bench has no layers unless it is asked" '"layers" not in d'

passes "bench --layers prints a table" '^step +op +name +output +kernel' \
    bench small.onnx --time 0.05 --layers
ok "bench --layers leaves no blanks at the ends of lines" not grep -E ' $' out
run bench small.onnx --time 0.05 --layers --json --shape 1000x2
json "bench --layers --json has each step" 'd["peak_gflops"] > 0 and
    all(s["ms"] >= s["min_ms"] >= 0 and s["name"] and s["op"]
        for s in d["layers"]) and len(d["layers"]) >= 1'
json "bench --shape sizes the layers" \
    'all(s["output"].startswith("1000x2") for s in d["layers"])'
json "bench counts what a product of matrices takes" \
    'sum(s["flops"] for s in d["layers"] if "MatMul" in s["op"]
     or "Gemm" in s["op"]) == 2 * 1000 * 2 * 2'
json "bench relates the rate to the peak" 'all(near(s["peak_share"],
    s["gflops"] / d["peak_gflops"], 1e-9) for s in d["layers"])'

run bench small.onnx --time 0.05 --roofline roof.svg --shape 1000x2
# shellcheck disable=SC2016
ok "bench --roofline draws each layer that computes" "$python" -c '
import xml.etree.ElementTree as xml
svg = "{http://www.w3.org/2000/svg}"
root = xml.parse("roof.svg").getroot()
dots = [c for c in root.iter(svg + "circle") if c.find(svg + "title") is not None]
assert len(dots) == 1 and "GFLOP/s" in dots[0].find(svg + "title").text, dots
assert any("peak" in (t.text or "") for t in root.iter(svg + "text"))
box = [float(v) for v in root.get("viewBox").split()]
assert all(0 < float(c.get("cx")) < box[2] and 0 < float(c.get("cy")) < box[3]
           for c in dots)
'
if [ -w /dev/full ]; then
    fails "bench tells of a full disk" 1 'cannot write all of /dev/full' \
        bench small.onnx --time 0.05 --roofline /dev/full -q
else
    skip "bench tells of a full disk" "no /dev/full"
fi

run bench small.onnx --time 0.1 --sessions 3 --json
json "bench --sessions runs so many at once" 'd["sessions"] == 3 and
    d["threads"] >= 1 and d["runs"] >= 9 and d["throughput"] > 0'
fails "bench wants a number of sessions" 2 '--sessions takes a' \
    bench small.onnx --sessions 0

fails "bench names a model that is not there" 3 'cannot open gone.onnx' \
    bench gone.onnx
fails "bench wants a time" 2 '--time takes a number' bench small.onnx --time 0
fails "bench names an input that is not there" 2 'no input "z"' \
    bench small.onnx --shape z=1x2

# ---- devices ---------------------------------------------------------------

passes "devices tells the cores" '^cores to use +[0-9]+$' devices
run devices --json
json "devices --json has the processor" 'd["devices"][0]["kind"] == "cpu" and
    d["devices"][0]["backend"] == "native" and d["devices"][0]["name"]'
json "devices --json has caches and memory" \
    'all(d["devices"][0][k] >= 0 for k in ("l1d_bytes", "l2_bytes",
      "l3_bytes")) and d["devices"][0]["memory_bytes"] > 1 << 20'
json "devices measures a peak" 'd["devices"][0]["core_gflops"] > 0.05'
if command -v nproc >/dev/null; then
    cores=$(nproc)
    json "devices has no more cores than the process may use" \
        "1 <= d['devices'][0]['cores'] <= $cores"
fi
if command -v taskset >/dev/null && taskset -c 0 true 2>/dev/null; then
    taskset -c 0 "$OCELLI" devices --json >out
    json "devices heeds the affinity" 'd["devices"][0]["cores"] == 1'
else
    skip "devices heeds the affinity" "no taskset"
fi
if [ -r /proc/cpuinfo ] && grep -q '^flags' /proc/cpuinfo; then
    run devices --json
    avx2=False
    ! grep -qw avx2 /proc/cpuinfo || avx2=True
    json "devices has AVX2 where the kernel says so" \
        "('avx2' in d['devices'][0]['features']) == $avx2"
fi

tap_end
