#!/bin/sh
# test_outputs.sh: what is written is written whole or not at all.
. "$(dirname "$0")/tap.sh"

red='\377\000\000' green='\000\377\000'
model "$(node Identity y x)" "$(input x 1 1 3 64 64)" \
    "$(output y 1 1 3 64 64)" >colour.onnx
make_ppm p.ppm 96 96 "$red" "$green"
set -- --decode logits --labels names
printf 'red\ngreen\nblue\n' >names

# ---- a full disk under standard output -------------------------------------

# The shell opens /dev/full; the program is never told its name.
if [ -c /dev/full ]; then
    full() { # ARGS...
        rc=0
        tap_args="$* >/dev/full"
        "$OCELLI" "$@" >/dev/full 2>err || rc=$?
        : >out
        refused 1 'cannot write to standard output'
    }
    ok "--version sees a full disk" full --version
    ok "--help sees a full disk" full --help
    ok "run sees a full disk" full run colour.onnx
    ok "run --json sees a full disk" full run colour.onnx --json
    ok "inspect sees a full disk" full inspect colour.onnx
    ok "segment sees a full disk" full segment colour.onnx p.ppm "$@"
    ok "segment --json sees a full disk" \
        full segment colour.onnx p.ppm --json "$@"
    ok "bench sees a full disk" full bench colour.onnx --time 0.02
    ok "devices sees a full disk" full devices
    ok "the manual page sees a full disk" full _docs man
else
    skip "--version sees a full disk" "no /dev/full"
fi

closed() {
    tap_args='inspect | true'
    { "$OCELLI" inspect colour.onnx --graph 2>err; echo $? >code; } | true
    rc=$(cat code)
    : >out
    [ "$rc" -eq 0 ] || refused 1 'cannot write to standard output'
}
ok "a closed pipe is no crash" closed

# ---- a full disk under a file ----------------------------------------------

# A limit on the size of files is met like the end of a disk.
limited() { # DIR ARGS...: fails, and leaves DIR as it was
    tap_before=$(ls -A "$1")
    shift
    rc=0
    tap_args=$*
    (
        # Blocks of 512 bytes in POSIX, of 1024 in bash: both are too small.
        ulimit -f 2
        exec "$OCELLI" "$@"
    ) >/dev/null 2>err || rc=$?
    : >out
    refused 1 'cannot write.*File too large' &&
        equal "the files" "$(ls -A "$tap_dir_of")" "$tap_before"
}
into() { # DIR ARGS...
    tap_dir_of=$1
    limited "$@"
}
mkdir files
# Noise does not compress.
{
    printf 'P6\n64 64\n255\n'
    "$OCELLI" devices --help
    for file in colour.onnx "$OCELLI"; do
        head -c 12288 "$file"
    done
} | head -c 12301 >noise.ppm
ok "run sees a full disk under its outputs" \
    into files run colour.onnx --output-dir files
ok "segment sees a full disk under its pictures" \
    into files segment colour.onnx noise.ppm "$@" --out files
model "$(node Identity h x)$(node Mul y h w)" "$(input x 1 1 3 64 64)" \
    "$(output y 1 1 3 64 64)" "$(weight w 1 '\000\000\200\077' 1)" \
    "$(words 10 "$(head -c 3000 /dev/zero | tr '\000' x)")" >large.onnx
ok "seal sees a full disk under its model" \
    into files seal large.onnx -o files/sealed.onnx "$@"
echo old >files/sealed.onnx
ok "seal leaves an old file alone then" \
    into files seal large.onnx -o files/sealed.onnx "$@"
ok "the old file has its content" equal content "$(cat files/sealed.onnx)" old
rm files/sealed.onnx

fails "run names a folder it cannot make" 1 \
    'cannot make the folder gone/deep: No such' run colour.onnx -o gone/deep
fails "run does not write into a file" 1 \
    'cannot make the folder names: Not a directory' run colour.onnx -o names
fails "segment names a folder it cannot make" 1 \
    'cannot make the folder gone/deep: No such' \
    segment colour.onnx p.ppm -q --out gone/deep "$@"
fails "segment does not write into a file" 1 \
    'cannot make the folder names: Not a directory' \
    segment colour.onnx p.ppm -q --out names "$@"
fails "seal names a folder that is not there" 1 'cannot write gone/x.onnx' \
    seal colour.onnx -q -o gone/x.onnx "$@"
fails "seal does not write over a folder" 1 'cannot write files: Is a dir' \
    seal colour.onnx -q -o files "$@"

# ---- files that are not files ----------------------------------------------

run seal colour.onnx -q -o files/plain.onnx "$@"
if mkfifo files/pipe 2>/dev/null; then
    cat files/pipe >piped.onnx &
    reader=$!
    run seal colour.onnx -q -o files/pipe "$@"
    # A pipe that was replaced has no writer: its reader would wait for ever.
    [ -p files/pipe ] || kill $reader
    wait $reader
    ok "a pipe is written to, not replaced" test -p files/pipe
    ok "and gets the whole model" cmp piped.onnx files/plain.onnx
    rm files/pipe
else
    skip "a pipe is written to, not replaced" "no mkfifo"
fi
echo old >files/real.onnx
chmod 640 files/real.onnx
ln -s real.onnx files/link.onnx
run seal colour.onnx -q -o files/link.onnx "$@"
ok "a link stays one" test -h files/link.onnx
ok "what it leads to is replaced" cmp files/real.onnx files/plain.onnx
# shellcheck disable=SC2012
ok "and keeps its permissions" equal mode \
    "$(ls -l files/real.onnx | cut -c1-10)" "-rw-r-----"
ok "nothing else is left" holds files link.onnx plain.onnx real.onnx

tap_end
