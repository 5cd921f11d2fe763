#!/bin/sh
# test_bad_models.sh: models that are damaged, wrong or hostile get one clear
# sentence and exit code 3 (4 where memory is the limit), from every verb.
. "$(dirname "$0")/tap.sh"

zero='\000\000\000\000'
x=$(input x 1 2)
y=$(output y 1 2)
model "$(node Relu y x)" "$x" "$y" >good.onnx
make_ppm p.ppm 4 4 '\001\002\003' '\001\002\003'

passes "the model the others come from is good" . run good.onnx

# ---- every verb ------------------------------------------------------------

: >zero.onnx
head -c 60 good.onnx >cut.onnx
cp p.ppm picture.onnx
for bad in gone zero cut picture; do
    for verb in run inspect bench; do
        fails "$verb names a model: $bad" 3 "$bad.onnx" $verb $bad.onnx
    done
    for verb in classify detect segment; do
        fails "$verb names a model: $bad" 3 "$bad.onnx" $verb $bad.onnx p.ppm
    done
    fails "restore names a model: $bad" 3 "$bad.onnx" \
        restore $bad.onnx p.ppm --out made
    fails "eval names a model: $bad" 3 "$bad.onnx" eval $bad.onnx --data .
    fails "seal names a model: $bad" 3 "$bad.onnx" seal $bad.onnx -o new.onnx
done
ok "nothing was written for them" not test -e new.onnx

# ---- kinds of damage -------------------------------------------------------

bad() { # NAME PATTERN: about bad.onnx
    fails "$1" 3 "^ocelli: bad.onnx: .*$2" run bad.onnx
}

fails "a model is no folder" 3 'is not a regular file' run .
fails "a model is no device" 3 'is not a regular file' run /dev/null
printf 'hello, this is a text' >bad.onnx
bad "a text is no model" 'no ONNX|damaged'
printf '\377\377\377\377\377\377\377\377\377\377\377' >bad.onnx
bad "a number has no more than 64 bits" 'longer than 64 bits'
message "$(number 1 2)$(bytes 7 "$(words 2 made)")$(bytes 8 "$(number 2 17)")" >bad.onnx
bad "an ancient model is refused" 'IR version 3 or newer'
message "$(number 1 8)$(bytes 8 "$(number 2 17)")" >bad.onnx
bad "a model has a graph" 'no graph'
model "$(node Relu b a)$(node Relu a b)" "$x" "$(output a 1 2)" >bad.onnx
bad "a cycle is refused, with a node of it" '"node_[ab]".*cycle'
model "$(node Relu y y)" "$x" "$y" >bad.onnx
bad "a node cannot feed itself" '"node_y".*cycle'
model "$(node Relu y gone)" "$x" "$y" >bad.onnx
bad "an input nobody makes is named" 'node_y.*"gone"'
model "$(node Relu z x)" "$x" "$y" >bad.onnx
bad "an output nobody makes is named" '"y"'
model "$(node Relu y x)$(node Neg y x)" "$x" "$y" >bad.onnx
bad "a value made twice is named" '"y".*elsewhere'
model "$(node Frobnicate y x)" "$x" "$y" >bad.onnx
bad "an unknown operator is named" '"node_y": operator Frobnicate'
model "$(node Add y x)" "$x" "$y" >bad.onnx
bad "too few inputs are named" '"node_y" \(Add\).* 1 inputs'
model "$(node Add y x w)" "$x" "$(input w 7 2)" "$y" >bad.onnx
bad "two types that do not go together are named" \
    'Add "node_y".* f32 and i64'
model "$(node Add y x w)" "$x" "$(input w 1 3)" "$y" >bad.onnx
bad "two shapes that do not go together are named" '"node_y".*2.*3'
model "$(node MatMul y x w)" "$x" "$(input w 1 3 2)" "$y" >bad.onnx
bad "matrices that do not go together are named" 'MatMul "node_y"'
model "$(node Add y x w)" "$(weight w 1 "$zero" 3 3)" "$x" "$y" >bad.onnx
bad "weights that are too short are named" '"w".* 4 bytes .* needs 36'
model "$(node Add y x w)" "$(weight w 1 "$zero" 9223372036854775807 9)" \
    "$x" "$y" >bad.onnx
bad "an enormous shape of weights is named" '"w".*enormous'
model "$(node Add y x w)" "$(weight w 99 "$zero" 1)" "$x" "$y" >bad.onnx
bad "an unknown type of weights is named" 'element type 99'
model "$(node Relu y x)" "$(input x 42 2)" "$y" >bad.onnx
bad "an unknown type of an input is named" 'element type 42'

for dims in '9223372036854775807 9223372036854775807' '3037000500 3037000500' \
    '4294967296 4294967296 4'; do
    # shellcheck disable=SC2086
    model "$(node Relu y x)" "$(input x 1 $dims)" "$(output y 1)" >huge.onnx
    fails "an input of $dims is refused" 4 '"x" takes' run huge.onnx
    fails "and so is its memory plan" 4 '"x" takes' inspect huge.onnx --memory
done
model "$(node Relu y x)" "$(input x 1 N M)" "$(output y 1 N M)" >free.onnx
fails "free sizes cannot be any size" 4 '"x" takes' \
    run free.onnx --shape x=99999999x99999999

# An If in the branches of an If in the branches ...: the reader must not run
# out of stack.
if_y=$(words 1 c)$(words 2 y)$(words 4 If)
plain=$(node Identity y c)$(output y 9 1)
else=$(bytes 5 "$(words 1 else_branch)$(number 20 5)$(bytes 6 "$plain")")
then=$(words 1 then_branch)$(number 20 5)
nested=$plain
depth=0
while [ $depth -lt 66 ]; do
    [ $depth -ne 2 ] ||
        model "$nested" "$(input c 9 1)" >shallow.onnx
    nested=$(bytes 1 "$if_y$else$(bytes 5 "$then$(bytes 6 "$nested")")")
    nested=$nested$(output y 9 1)
    depth=$((depth + 1))
done
passes "bodies in bodies run" '^y +bool' run shallow.onnx
model "$nested" "$(input c 9 1)" >bad.onnx
fails "no end of bodies in bodies does not" 4 \
    '^ocelli: bad.onnx: .*nested more than 64 deep' run bad.onnx

# ---- every bit -------------------------------------------------------------

# Whatever bit is turned: an answer or one sentence, never a crash.
size=$(wc -c <good.onnx)
all=$(od -An -v -to1 good.onnx | tr -d '\n' | sed 's/ /\\/g')
survives() { # the last run
    case $rc in
    0) return 0 ;;
    2) refused 2 'the input "x" has to be given' ;; # of no known type now
    3 | 4) refused "$rc" flipped.onnx ;;
    *)
        echo "exit code $rc"
        return 1
        ;;
    esac
}
every_bit() { # bits are many: of each byte another one is turned
    at=0 before='' after=$all
    while [ -n "$after" ]; do
        rest=${after#????}
        byte=${after%"$rest"}
        byte=$((0${byte#?} ^ (1 << at * 3 % 8)))
        message "$before$(printf '\\%03o' "$byte")$rest" >flipped.onnx
        run run flipped.onnx --quiet --threads 1
        survives || {
            echo "byte $at, bit $((at * 3 % 8))"
            return 1
        }
        before=$before${after%"$rest"} after=$rest at=$((at + 1))
    done
    equal bytes "$at" "$size"
}
ok "a turned bit gives an answer or a sentence" every_bit
every_end() {
    at=0
    while [ "$at" -lt "$size" ]; do
        head -c "$at" good.onnx >flipped.onnx
        run run flipped.onnx --quiet --threads 1
        refused 3 flipped.onnx || {
            echo "the first $at bytes"
            return 1
        }
        at=$((at + 2))
    done
}
ok "a model cut anywhere gets a sentence" every_end

if [ -d "$models" ]; then
    real=$models/mnist.onnx
    cut_real() {
        for at in 1 100 1000 5000 10000 20000 26000; do
            head -c "$at" "$real" >flipped.onnx
            run classify flipped.onnx p.ppm
            refused 3 flipped.onnx || return 1
        done
    }
    ok "a real model cut anywhere gets a sentence" cut_real
else
    skip "a real model cut anywhere gets a sentence" "no models in $shared"
fi

tap_end
