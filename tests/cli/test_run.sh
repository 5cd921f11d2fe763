#!/bin/sh
# test_run.sh: ocelli run, on models and tensors made here byte by byte.
. "$(dirname "$0")/tap.sh"

one='\000\000\200\077' two='\000\000\000\100' three='\000\000\100\100'
four='\000\000\200\100' nan='\000\000\300\177' inf='\000\000\200\177'

model "$(node Add y x x)" "$(input x 1 2 2)" "$(output y 1 2 2)" >twice.onnx
model "$(node Add a/b:0 x x)$(node Neg c x)" "$(input x 1 N 2)" \
    "$(output a/b:0 1 N 2)" "$(output c 1 N 2)" >names.onnx
npy '(2, 2)' "$one$two$three$four" >x.npy
message "$(tensor other 1 "$four$three$two$one" 2 2)" >x.pb

# ---- inputs and outputs ----------------------------------------------------

run run twice.onnx --input x=x.npy --output-dir made
ok "run takes a .npy and writes one" equal y "$(npy_values made/y.npy)" \
    "2 4 6 8"
ok "run with a folder and nothing else is quiet" not test -s out
ok "run leaves nothing but the outputs" holds made y.npy
run run twice.onnx -ix=x.pb -omade
ok "run takes a .pb, by short options" equal y "$(npy_values made/y.npy)" \
    "8 6 4 2"
run run twice.onnx --input=x.npy --output-dir=made
ok "run gives the first input what has no name" \
    equal y "$(npy_values made/y.npy)" "2 4 6 8"
run run names.onnx --input x=x.npy --output-dir made
ok "run replaces / and : in the names of files" \
    holds made a_b_0.npy c.npy y.npy
ok "run writes every output" equal c "$(npy_values made/c.npy)" "-1 -2 -3 -4"
ok "a .npy has a header NumPy can read" \
    grep -aq "'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)" \
    made/c.npy

if [ -n "$python" ]; then
    "$python" - <<'END'
import zipfile
with zipfile.ZipFile("x.npz", "w", zipfile.ZIP_DEFLATED) as z:
    z.write("x.npy", "x.npy")
with zipfile.ZipFile("only.npz", "w") as z:
    z.write("x.npy", "arr_0.npy")
END
    run run twice.onnx -i x=x.npz -o made
    ok "run takes the right array of a .npz" \
        equal y "$(npy_values made/y.npy)" "2 4 6 8"
    run run names.onnx -i x=only.npz -o made
    ok "run takes the only array of a .npz, whatever its name" \
        equal c "$(npy_values made/c.npy)" "-1 -2 -3 -4"
else
    skip "run takes the right array of a .npz" "no python3"
fi

model "$(node Identity y x)" "$(input x 1 1 3 1 2)" "$(output y 1 1 3 1 2)" \
    >picture.onnx
make_ppm p.ppm 2 1 '\377\000\200' '\001\002\003'
run run picture.onnx -i x=p.ppm -o made
ok "run takes a picture as levels, channels first" \
    equal y "$(npy_values made/y.npy)" "255 1 0 2 128 3"

# ---- made-up inputs --------------------------------------------------------

run run names.onnx --output-dir r1
run run names.onnx --output-dir r2
ok "random inputs are the same twice" cmp r1/c.npy r2/c.npy
run run names.onnx --output-dir r2 --seed 7
ok "another seed gives other inputs" not cmp -s r1/c.npy r2/c.npy
run run names.onnx --output-dir r2 --threads 1
ok "the number of threads changes no bit" cmp r1/c.npy r2/c.npy
run run names.onnx --shape x=3x2 --json
json "run --shape sizes what is free" 'd["outputs"][0]["shape"] == [3, 2]'
run run names.onnx --shape 0x2 --print
ok "run takes an empty input" prints '^c +f32\[0, 2\] +- +- '

# ---- statistics ------------------------------------------------------------

model "$(node Identity y x)" "$(input x 1 4)" "$(output y 1 4)" >same.onnx
npy '(4,)' "$one$nan$inf$three" >odd.npy
passes "run without options prints statistics" \
    '^y +f32\[4\] +1 +inf +2 +1 +1 +1$' run same.onnx -i odd.npy
ok "the table has a head" prints '^output +type +min +max +mean +std +NaNs'
run run same.onnx -i odd.npy --json
json "run --json has the statistics" '[d["outputs"][0][k] for k in
    ("name", "dtype", "shape", "min", "max", "mean", "std", "nans", "infs")
    ] == ["y", "f32", [4], 1, None, 2, 1, 1, 1]'
passes "run --print prints beside writing" '^y +f32' \
    run same.onnx -i odd.npy -o made --print
run run same.onnx --quiet
ok "run --quiet says nothing" not test -s out

# ---- mistakes --------------------------------------------------------------

fails "run names a model that is not there" 3 'cannot open gone.onnx: No such' \
    run gone.onnx
fails "run names an input that is not there" 2 'no input "z"' \
    run twice.onnx -i z=x.npy
fails "run wants a file for an input" 2 '--input wants NAME=FILE' \
    run twice.onnx -i x=
fails "run names a tensor file that is not there" 3 'gone.npy: No such file' \
    run twice.onnx -i x=gone.npy
fails "run names the shape an input must have" 3 \
    '"x".*wants f32\[2,2\].*not f32\[4\]' run twice.onnx -i x=odd.npy
not_any() { not complains 'any|-1|\?'; }
ok "and nothing of dims that are not free" not_any
fails "run names free dims as inspect does" 3 \
    '"x".*wants f32\[N,2\], not f32\[4\]' run names.onnx -i x=odd.npy
fails "run wants --shape for inputs there are" 2 'no input "z"' \
    run names.onnx --shape z=1x2
fails "run wants sizes in --shape" 2 'sizes like 1x3x224x224, not "1xx2"' \
    run names.onnx --shape 1xx2
fails "run says how much memory there is not" 4 '"x" takes .* TiB' \
    run names.onnx --shape 9999999999999x2
head -c 70 x.npy >short.npy
fails "run names a tensor file that is cut short" 3 'short.npy' \
    run twice.onnx -i x=short.npy
printf 'no numbers' >text.npy
fails "run names a tensor file that is none" 3 'text.npy' \
    run twice.onnx -i x=text.npy
: >zero.pb
fails "run names an empty tensor file" 3 'zero.pb' run twice.onnx -i x=zero.pb
fails "run does not take a picture for a vector" 3 \
    'p.ppm.*"x" does not take a picture' run same.onnx -i x=p.ppm
fails "run names a kind of file it does not know" 3 \
    'x.txt: only .npy, .npz and .pb' run twice.onnx -i x=x.txt

tap_end
