#!/bin/sh
# test_tune.sh: --tune says what it found, and later runs use it.
. "$(dirname "$0")/tap.sh"

part='\000\000\200\077\315\314\314\075' # 1 and 0.1
for _ in 1 2 3 4 5; do
    part="$part$part"
done # 64 numbers
filters=
for _ in 1 2 3 4 5 6 7 8 9; do
    filters="$filters$part"
done # 8 x 8 filters of 3 x 3
model "$(node Conv c x w)$(node Relu y c)" "$(weight w 1 "$filters" 8 8 3 3)" \
    "$(input x 1 1 8 34 34)" "$(output y 1 1 8 32 32)" >conv.onnx
model "$(node Relu y x)" "$(input x 1 N 2)" "$(output y 1 N 2)" >relu.onnx

programs() { # how many are in the cache
    set -- kept/p-*
    echo $#
}

said() { # PATTERN: the last run worked and said just that beside its results
    [ "$rc" -eq 0 ] && [ "$(wc -l <err)" -eq 1 ] && complains "$1"
}

quiet() {
    [ "$rc" -eq 0 ] && [ ! -s err ]
}

line='^tuned 1 layer in [0-9.]+ s: [01] changed, [0-9.]+ -> [0-9.]+ ms$'

run bench conv.onnx --time 0.02 --cache kept
ok "a model runs untuned without a word" quiet
ok "its program is kept" equal programs "$(programs)" 1

run bench conv.onnx --time 0.02 --cache kept --tune --json
ok "--tune says what it found" said "$line"
json "--tune leaves the results alone" 'd["runs"] >= 3'
ok "the tuned program is kept beside the other" equal programs "$(programs)" 2
run run conv.onnx --cache kept --tune --output-dir first
ok "--tune finds a tuned program of another verb" quiet
run run conv.onnx --cache kept --output-dir second
ok "a tuned program serves runs without --tune" quiet
ok "both give the same bits" cmp first/y.npy second/y.npy
ok "nothing was added to the cache" equal programs "$(programs)" 2

rm -r kept
run run conv.onnx --cache kept --tune
ok "--tune says it again without its program" said "$line"
run run conv.onnx --cache kept
ok "no other program is made once there is a tuned one" \
    equal programs "$(programs)" 1

run run conv.onnx --no-cache --tune
ok "--tune works without a cache" said "$line"
run run conv.onnx --no-cache --tune --quiet
ok "--tune says nothing with --quiet" quiet
run run relu.onnx --no-cache --tune
ok "--tune says where there is nothing to choose" said '^tuned nothing: '
run run conv.onnx --no-cache --tune --optimize none
ok "--tune has no choice in a graph as it is" said '^tuned nothing: '

tap_end
