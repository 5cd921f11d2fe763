#!/bin/sh
# test_inspect.sh: ocelli inspect.
. "$(dirname "$0")/tap.sh"

model "$(node Relu h x)$(node Add y h w)" "$(weight w 1 '\000\000\200\077' 1)" \
    "$(input x 1 N 3)" "$(output y 1 N 3)" >small.onnx

passes "inspect names inputs with free sizes" '^  x  f32\[N, 3\]$' \
    inspect small.onnx
ok "inspect names outputs" prints '^  y  f32\[N, 3\]$'
ok "inspect counts parameters" prints '^  parameters +1 \(4 B\)$'
ok "inspect tells the operator set" prints '^  opset +ai.onnx 17$'
ok "inspect leaves no blanks at the ends of lines" not grep -E ' $' out
passes "inspect --graph prints the nodes" 'Relu\(%x\)' \
    inspect small.onnx --graph --optimize none
passes "inspect --memory draws the plan" '^memory  weights' \
    inspect small.onnx --memory

run inspect small.onnx --json --memory --shape x=5x3
json "inspect --json has what the file has" '[d[k] for k in
    ("model", "graph", "ir_version", "opsets", "nodes", "parameter_elems")
    ] == ["small.onnx", "made", 8, {"ai.onnx": 17}, 2, 1]'
json "inspect --json has inputs and outputs" \
    '[(v["name"], v["dtype"], v["shape"]) for v in d["inputs"] + d["outputs"]
      ] == [("x", "f32", ["N", 3]), ("y", "f32", ["N", 3])]'
json "inspect --json counts operators" \
    'd["operators"] == {"Relu": 1, "Add": 1}'
json "inspect --json plans memory for a shape" \
    'd["memory"]["unplanned_bytes"] >= 5 * 3 * 4 and
     all(t["first_step"] <= t["last_step"] for t in d["memory"]["tensors"])'

fails "inspect names a file that is not there" 3 'cannot open gone.onnx' \
    inspect gone.onnx
fails "inspect does not read folders" 3 'is not a regular file' inspect .

model "$(node Relu y x)" "$(input "$(printf 'x\033[31m\n')" 1 2)" \
    "$(output y 1 2)" "$(input x 1 2)" >names.onnx
run inspect names.onnx
ok "names of a model cannot play with the terminal" \
    not grep -q "$(printf '\033')" out
run inspect names.onnx --json
json "names of a model are escaped in JSON" \
    'd["inputs"][0]["name"] == "x\x1b[31m"'

if [ -d "$models" ]; then
    run inspect "$models/super_resolution.onnx" --json
    json "inspect tells inputs from those with a default" \
        '[v["name"] for v in d["inputs"] if not v["optional"]] == ["input"]'
    for file in "$models"/*.onnx; do
        passes "inspect reads ${file##*/}" '^outputs$' inspect "$file"
    done
else
    skip "inspect reads real models" "no models in $shared"
fi

tap_end
