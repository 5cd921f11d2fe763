#!/bin/sh
# test_precision.sh: --precision of the verbs that run models.
. "$(dirname "$0")/tap.sh"

# 1, 1 + 3 2^-8; 1 + 2^-8, -3.  bf16 has 8 bits: the second and third lie in the
# middle between two.
weights='\000\000\200\077\000\200\201\077\000\200\200\077\000\000\100\300'
model "$(node MatMul y x w)" "$(weight w 1 "$weights" 2 2)" \
    "$(input x 1 N 2)" "$(output y 1 N 2)" >small.onnx
model "$(node Relu y x)" "$(input x 1 2 2)" "$(output y 1 2 2)" >plain.onnx

features=$("$OCELLI" devices --json)
has_bf16=False
case $features in
*avx512-bf16* | *neon-bf16*) has_bf16=True ;;
esac

passes "bf16 runs in plain C" ' in bf16' \
    bench small.onnx --time 0.01 --cpu scalar --precision bf16
run bench small.onnx --time 0.01 --json --cpu scalar --precision bf16 --layers
json "bench --json says bf16" 'd["precision"] == "bf16" and
    d["peak_gflops"] > 0'
run bench small.onnx --time 0.01 --json
json "f32 is the default" 'd["precision"] == "f32"'
run bench small.onnx --time 0.01 --json --precision auto
json "auto says what it chose" \
    "d['precision'] == ('bf16' if $has_bf16 else 'f32')"
run bench small.onnx --time 0.01 --json --precision auto --cpu scalar
json "auto takes f32 where bf16 is no faster" 'd["precision"] == "f32"'
run bench plain.onnx --time 0.01 --json --precision auto
json "auto takes f32 where there is no weight" 'd["precision"] == "f32"'

if [ $has_bf16 = False ]; then
    if printf '%s' "$features" | grep -Eq 'avx2|neon'; then
        fails "bf16 is refused where the CPU has it not" 2 \
            'this CPU has no bf16 instructions.*precision f32 or auto' \
            bench small.onnx --precision bf16
    else
        skip "bf16 is refused where the CPU has it not" "plain C is all here"
    fi
else
    skip "bf16 is refused where the CPU has it not" "it has"
fi
fails "f16 is refused" 2 'no f16 products yet.*bf16 or auto' \
    bench small.onnx --precision f16
fails "bf16 needs the passes" 2 'needs the full optimization' \
    bench small.onnx --precision bf16 --cpu scalar --optimize basic
fails "a precision must be one there is" 2 \
    '--precision takes one of f32\|bf16\|f16\|auto' \
    bench small.onnx --precision f8

# x = 1 + 2^-9, 2: in bf16 1, 2.
npy "(1, 2)" '\000\100\200\077\000\000\000\100' >x.npy
run run small.onnx -i x=x.npy -o f32 -q
run run small.onnx -i x=x.npy -o b16 -q --cpu scalar --precision bf16
y=$(npy_values f32/y.npy)
ok "f32 has all bits" equal y "${y%% *}" "3.0097656"
# 1 + 2 * 1, 1 * (1 + 2^-6) - 6
ok "bf16 rounds inputs and weights, halves to even" \
    equal y "$(npy_values b16/y.npy)" "3 -4.984375"

tap_end
