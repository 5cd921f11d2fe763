#!/bin/sh
# test_conform.sh: ocelli conform, on cases in the layout of ONNX's suite.
. "$(dirname "$0")/tap.sh"

one='\000\000\200\077' two='\000\000\000\100' four='\000\000\200\100'

# A case of one operator: y = OPERATOR(x), of a vector of two.
make_case() { # FOLDER OPERATOR X Y
    mkdir -p "$1/test_data_set_0"
    model "$(node "$2" y x)" "$(input x 1 2)" "$(output y 1 2)" \
        >"$1/model.onnx"
    message "$(tensor x 1 "$3" 2)" >"$1/test_data_set_0/input_0.pb"
    message "$(tensor y 1 "$4" 2)" >"$1/test_data_set_0/output_0.pb"
}

make_case suite/test_sqrt Sqrt "$one$four" "$one$two"
make_case suite/test_wrong Sqrt "$one$four" "$one$four"
make_case suite/test_unknown Frobnicate "$one$four" "$one$two"
make_case suite/test_shape Sqrt "$one$four" "$one$two"
message "$(tensor y 1 "$one$two$two" 3)" \
    >suite/test_shape/test_data_set_0/output_0.pb
make_case good/deep/test_sqrt Sqrt "$one$four" "$one$two"

last_line() {
    equal "the last line" "$(tail -n 1 out)" "$1"
}

passes "conform counts what passes" '^1 passed, 0 failed, 0 unsupported$' \
    conform good
ok "conform prints nothing of what passes" last_line "$(cat out)"
passes "conform --verbose prints what passes" '^passed test_sqrt$' \
    conform good --verbose

run conform suite
ok "conform ends with 1 when a case failed" equal code "$rc" 1
ok "conform ends with the counts" last_line \
    "1 passed, 2 failed, 1 unsupported"
ok "conform names the number that is wrong" \
    prints '^failed test_wrong: output 0 \(y\) .*4'
ok "conform names the shape that is wrong" \
    prints '^failed test_shape: output 0 \(y\) .*3'
ok "conform names the operator there is not" prints \
    '^unsupported test_unknown: node "node_y": operator Frobnicate of domain'
ok "conform prints a line for each and the last" \
    equal lines "$(grep -c . out)" 4
ok "conform complains of nothing else" not test -s err

run conform good suite --json
json "conform --json counts" '[d[k] for k in ("passed", "failed", "unsupported")
    ] == [2, 2, 1] and len(d["cases"]) == 5'
json "conform --json gives reasons" 'sorted(c["name"] for c in d["cases"]
    if c.get("reason")) == ["test_shape", "test_unknown", "test_wrong"]'
json "conform --json names operators" \
    'all(c["operators"] == ["Sqrt"] for c in d["cases"]
         if c["outcome"] != "unsupported")'

run conform suite --filter test_sqrt
ok "conform --filter takes a part of a name" last_line \
    "1 passed, 0 failed, 0 unsupported"
run conform suite --filter 'test_[sw]*'
ok "conform --filter takes a pattern" last_line \
    "1 passed, 2 failed, 0 unsupported"

printf '{"rtol": 2.0, "atol": 0}' >suite/test_wrong/data.json
run conform suite --filter test_wrong
ok "conform takes tolerances from data.json" last_line \
    "1 passed, 0 failed, 0 unsupported"
head -c 40 suite/test_sqrt/model.onnx >cut.onnx
cp cut.onnx suite/test_sqrt/model.onnx
run conform suite --filter test_sqrt
ok "conform fails a model that is cut short" prints \
    '^failed test_sqrt: .*cut short'

fails "conform names a folder that is not there" 3 \
    'cannot read the folder gone: No such file' conform gone
fails "conform says when there are no cases" 3 \
    'good has no test cases of that name' conform good --filter nothing
mkdir empty
fails "conform says what cases look like" 3 'empty has no test cases: .*onnx' \
    conform empty

tap_end
