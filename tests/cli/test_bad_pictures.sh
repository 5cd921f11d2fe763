#!/bin/sh
# test_bad_pictures.sh: pictures that are empty, cut, lying or enormous are
# reported in one sentence and skipped.
. "$(dirname "$0")/tap.sh"

red='\377\000\000'
model "$(node GlobalAveragePool p x)$(node Flatten y p)" \
    "$(input x 1 1 3 8 8)" "$(output y 1 1 3)" >colour.onnx
make_ppm good.ppm 8 8 "$red" "$red"
run classify colour.onnx good.ppm --out made
cp made/good.png good.png
size=$(wc -c <good.png)

bad() { # NAME FILE PATTERN
    fails "$1" 3 "^ocelli: $2: .*$3" classify colour.onnx "$2" --quiet
}

# ---- one bad picture -------------------------------------------------------

: >zero.jpg
bad "an empty picture is named" zero.jpg 'empty \(0 bytes\)'
printf 'hello' >text.png
bad "a text is no picture" text.png 'not a picture of a known format'
head -c $((size / 2)) good.png >cut.png
bad "a picture that is cut short is named" cut.png 'cut short'
head -c 20 good.ppm >cut.ppm
bad "so is a PPM" cut.ppm '.'
fails "a picture that is not there is named" 3 '^ocelli: gone.png: ' \
    classify colour.onnx gone.png -q
mkdir folder.png
fails "a folder without pictures is named" 3 'folder.png has no pictures' \
    classify colour.onnx folder.png -q
bad "a device is no picture" /dev/null '.'

# Headers that promise more than there is, or than there can be.
printf 'P6\n999999999 999999999\n255\nxx' >huge.ppm
printf 'P6\n60000 60000\n255\nxx' >lying.ppm
printf 'P6\n0 8\n255\n' >none.ppm
printf 'P6\n-4 8\n255\nxxxx' >minus.ppm
printf 'P6\n8 8\n0\nxxxx' >levels.ppm
for file in huge lying none minus levels; do
    run classify colour.onnx $file.ppm -q
    why() { # 4 where a limit is met, 3 where the header makes no sense
        [ "$rc" -eq 4 ] || [ "$rc" -eq 3 ] || return 1
        refused "$rc" "^ocelli: $file.ppm: "
    }
    ok "a header that lies is named: $file.ppm" why
done
{
    head -c 16 good.png
    printf '\177\377\377\377\177\377\377\377'
    tail -c $((size - 24)) good.png
} >huge.png
run classify colour.onnx huge.png -q
file=huge
why() {
    [ "$rc" -eq 4 ] || [ "$rc" -eq 3 ] || return 1
    refused "$rc" '^ocelli: huge.png: '
}
ok "a PNG of 2147483647 x 2147483647 is named" why

# The content counts, not the name.
cp good.png really-a.jpg
passes "a PNG named .jpg is looked at" '^really-a.jpg  8 x 8' \
    classify colour.onnx really-a.jpg -q
run classify colour.onnx - -q <zero.jpg
ok "empty standard input is named" refused 3 '^ocelli: .*empty'

# ---- bad ones among many ---------------------------------------------------

run classify colour.onnx zero.jpg good.ppm cut.png good.png gone.png --json
ok "bad pictures among many end with 1" equal code "$rc" 1
ok "each bad picture has a sentence, and all have one" \
    equal lines "$(grep -c '^ocelli: ' err)" 4
ok "the last sentence counts them" equal last "$(tail -n 1 err)" \
    "ocelli: 3 of 5 pictures failed"
json "good pictures among bad ones are looked at" \
    '[r["input"] for r in d["results"]] == ["good.ppm", "good.png"]'
run classify colour.onnx . --out all -q
ok "a folder with bad pictures gives the good ones" \
    equal results "$(grep -c '^\./.*  8 x 8' out)" 4
ok "and ends with 1" equal code "$rc" 1
ok "for bad pictures nothing is written" \
    holds all good-2.png good-3.png good.png really-a.jpg

# ---- every byte ------------------------------------------------------------

survives() {
    case $rc in
    0) return 0 ;;
    3 | 4) refused "$rc" '^ocelli: flipped.png: ' ;;
    *)
        echo "exit code $rc"
        return 1
        ;;
    esac
}
all=$(od -An -v -to1 good.png | tr -d '\n' | sed 's/ /\\/g')
every_byte() {
    at=0 before='' after=$all
    while [ -n "$after" ]; do
        rest=${after#????}
        byte=${after%"$rest"}
        byte=$((0${byte#?} ^ (1 << at * 3 % 8)))
        message "$before$(printf '\\%03o' "$byte")$rest" >flipped.png
        run classify colour.onnx flipped.png -q --threads 1
        survives || {
            echo "byte $at"
            return 1
        }
        before=$before${after%"$rest"} after=$rest at=$((at + 1))
    done
    equal bytes "$at" "$size"
}
ok "a turned bit of a PNG gives an answer or a sentence" every_byte

if [ -d "$images" ]; then
    cut_jpeg() {
        for at in 1 10 100 700 5000 50000 100000; do
            head -c "$at" "$images/cat_720p.jpg" >flipped.png
            run classify colour.onnx flipped.png -q
            refused 3 '^ocelli: flipped.png: ' || return 1
        done
    }
    ok "a JPEG cut anywhere gets a sentence" cut_jpeg
else
    skip "a JPEG cut anywhere gets a sentence" "no pictures in $shared"
fi

tap_end
