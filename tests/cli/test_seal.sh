#!/bin/sh
# test_seal.sh: ocelli seal.
. "$(dirname "$0")/tap.sh"

red='\377\000\000'
model "$(node GlobalAveragePool p x)$(node Flatten y p)" \
    "$(input x 1 1 3 8 8)" "$(output y 1 1 3)" >colour.onnx
printf 'red\ngreen\nblue\n' >names
make_ppm red.ppm 8 8 "$red" "$red"
set -- --labels names --scale 1 --mean 0 --std 32

passes "seal says what it did" \
    '^golden check made, sealed into sealed.onnx$' \
    seal colour.onnx -o sealed.onnx "$@"
ok "seal says what it guessed" prints '^guessed task: classify'
passes "a sealed model needs no options" '^    red +0\.99[0-9]$' \
    classify sealed.onnx red.ppm
ok "of a sealed model nothing is guessed" not prints '^guessed'
passes "inspect shows the card on one line" \
    '^  ocelli.card: \{ "ocelli": 1, "task": "classify"' inspect sealed.onnx
run inspect sealed.onnx --json
json "the card inside is JSON with everything given" \
    '(lambda c: c["task"] == "classify" and c["labels"] ==
      ["red", "green", "blue"] and c["golden"])(
      __import__("json").loads(d["metadata"]["ocelli.card"]))'
passes "sealing again runs the golden check" '^golden check passed' \
    seal sealed.onnx -o again.onnx
run seal colour.onnx -o x.onnx --json "$@"
json "seal --json says what it did" '[d[k] for k in
    ("model", "output", "task", "labels", "golden")
    ] == ["colour.onnx", "x.onnx", "classify", 3, "made"]'
run seal colour.onnx -o x.onnx --quiet "$@"
ok "seal --quiet says nothing" not test -s out
passes "a golden check may have a picture" 'golden check made' \
    seal colour.onnx -o golden.onnx --golden red.ppm "$@"
passes "which is asked for then" 'golden check passed' \
    seal golden.onnx -o x.onnx --golden red.ppm
fails "and must be given" 2 'needs the picture whose SHA-256 is' \
    seal golden.onnx -o x.onnx
ok "which says how" complains 'give it with --golden, or .* --renew'
ok "and which" complains "is $(sha256sum <red.ppm | cut -c 1-64); give"
make_ppm blue.ppm 8 8 '\000\000\377' '\000\000\377'
fails "and must be the right one" 2 'blue.ppm is not the picture' \
    seal golden.onnx -o x.onnx --golden blue.ppm
fails "a golden check that fails is no seal" 3 'the golden check fails' \
    seal golden.onnx -o broken.onnx --golden red.ppm --color bgr
ok "nothing is written then" not test -e broken.onnx
passes "--renew makes it anew" 'golden check made' \
    seal golden.onnx -o x.onnx --golden red.ppm --color bgr --renew

printf '{"ocelli": 1, "task": "classify", "labels": ["r", "g", "b"],
"decode": {"kind": "softmax"}}' >colour.card.json
passes "a card beside the model is found" '^    r +' \
    classify colour.onnx red.ppm
printf '{"ocelli": 1, "task": "fly"}' >colour.card.json
fails "a card with a wrong field is refused, with its name" 3 \
    'card.json: card field "task"' classify colour.onnx red.ppm
printf '{"ocelli": 1, "labels": [' >colour.card.json
fails "a card that is cut short is refused" 3 'the card is not JSON' \
    classify colour.onnx red.ppm
rm colour.card.json

fails "seal wants a file to write" 2 'seal needs a file to write: -o OUT' \
    seal colour.onnx
fails "seal names a golden picture that is not there" 3 \
    '^ocelli: cannot open gone.ppm' \
    seal colour.onnx -o x.onnx --golden gone.ppm "$@"

if [ -d "$models" ]; then
    run seal "$models/yolox_nano_coco.onnx" -o yolox.onnx -q \
        --golden "$images/bus.jpg"
    run detect yolox.onnx "$images/bus.jpg" --json
    json "a sealed detector finds the same" '[o["label"] for o in
        d["results"][0]["objects"]] == ["bus", "person", "person", "person"]'
    json "and says that nothing was guessed" 'd["guessed"] == []'
else
    skip "a sealed detector finds the same" "no models in $shared"
fi

tap_end
