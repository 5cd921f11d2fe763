#!/bin/sh
# test_describe.sh: ocelli describe; what is in the pictures stands in
# ../shared/images/README.md, and what networks find in ../shared/models.
. "$(dirname "$0")/tap.sh"
need_shared

yolox=$models/yolox_nano_coco.onnx
ssd=$models/ssd_mobilenet_v3_coco.onnx
bus=$images/bus.jpg

passes "describe --short is one sentence, the bus first" \
    '^A bus ahead, large and close; three people .*\.$' \
    describe -m "$yolox" "$bus" --short
ok "describe --short is one line" equal lines "$(wc -l <out)" 1
passes "describe --long tells the clock and who is in front" \
    'Three people: one at 11 .* and one at 1 .*in front of the bus\.$' \
    describe -m "$yolox" "$bus" --long
passes "describe prints both below the picture's name" 'bus\.jpg  810 x 1080' \
    describe -m "$yolox" "$bus"
ok "describe is three lines" equal lines "$(wc -l <out)" 3
passes "describe takes several pictures" 'Two dogs' \
    describe -m "$yolox" "$images/cat_720p.jpg" "$images/pets.jpg" --short
ok "one line for each" equal lines "$(wc -l <out)" 2
# shellcheck disable=SC2016
ok "describe takes - for standard input" \
    sh -c '"$1" describe -m "$2" - --short <"$3" | grep -q "^A cat ahead"' \
    sh "$OCELLI" "$yolox" "$images/cat_720p.jpg"

passes "describe speaks German" '^Ein Bus voraus, groß und nah; drei Personen' \
    describe -m "$yolox" "$bus" --short --locale de
passes "describe speaks Polish, with its plurals" '; 3 osoby ' \
    describe -m "$yolox" "$bus" --short --locale pl
passes "five are osób, not osoby" '^5 osób ' \
    describe -m "$yolox" "$images/faces.jpg" --short --locale pl-PL
printf 'locale = xx\nbrief.thing = {noun}!\n[labels one]\ndog = hund\n' >my.txt
passes "describe takes a file of words; the rest is English" '^Hund!\.$' \
    describe -m "$ssd" "$images/pets.jpg" --short --locale ./my.txt

run describe -m "$yolox" -m "$models/mobilenet_v2_imagenet_nhwc.onnx" \
    -m "$models/deeplabv3_mobilenet_v2_voc.onnx" "$bus" --json
json "describe --json names its models" \
    '[m["task"] for m in d["models"]] == ["detect", "classify", "segment"]'
json "phrases stand in the texts" \
    'all(p["text"][1:] in d["results"][0][p["of"]]
      for p in d["results"][0]["phrases"])'
json "phrases rest on things that are there" \
    '(lambda r: all(0 <= i < len(r[k]) for p in r["phrases"]
      for k in ("things", "areas", "labels") if k in p for i in p[k]))(
      d["results"][0])'
json "the phrase about people rests on three persons" \
    '(lambda r: [sorted(r["things"][i]["label"] for i in p["things"])
      for p in r["phrases"] if "people" in p["text"]])(d["results"][0])
      == 2 * [3 * ["person"]]'
json "dangers are first" \
    'd["results"][0]["things"][0]["urgency"] == "vehicle"'
json "angles follow from the boxes" \
    'all(near(t["angle_degrees"], __import__("math").degrees(
      __import__("math").atan(((t["box"][0] + t["box"][2]) / 2 - 405) / 831.52)),
      .1) for t in d["results"][0]["things"])'
json "the classifier's word is in the long text" \
    '"minibus" in d["results"][0]["long"]'
json "the bus is an area too" \
    '[a["name"] for a in d["results"][0]["areas"]][0] == "bus"'
run detect "$yolox" "$bus" --json
cp out detected
run describe -m "$yolox" "$bus" --json
json "things have the scores and boxes that detect gives" \
    '(lambda a, b: all(b[t["object"]]["score"] == t["score"] and
      b[t["object"]]["box"] == t["box"] for t in a))(
      d["results"][0]["things"],
      json.load(open("detected"))["results"][0]["objects"])'

run describe -m "$ssd" "$bus" --long --sure 0.7
ok "what is below --sure is said to be possible" \
    prints 'Perhaps also: .*people'
run describe -m "$yolox" "$bus" --json --view 20
json "a narrower view means farther away" \
    'd["results"][0]["things"][0]["distance_m"] > 10'

make_ppm gray.ppm 64 64 '\200\200\200' '\200\200\200'
passes "describe says when nothing was found" '^Nothing that I know' \
    describe -m "$yolox" gray.ppm --short

fails "describe without a model" 2 'needs a model' describe "$bus"
fails "describe without a picture" 2 'too few operands' describe -m "$yolox"
fails "a model that is not there" 3 'nowhere.onnx' \
    describe -m nowhere.onnx "$bus"
fails "a model for something else" 2 'restore' \
    describe -m "$models/super_resolution.onnx" "$bus"
fails "a picture that is not there" 3 'nowhere.jpg' \
    describe -m "$yolox" nowhere.jpg
fails "a language nobody knows" 2 'no language "xx"' \
    describe -m "$yolox" "$bus" --locale xx
printf 'locale = xx\nhello\n' >bad.txt
fails "a bad file of words, with its line" 3 'bad.txt: line 2: no =' \
    describe -m "$yolox" "$bus" --locale ./bad.txt
fails "an angle of view that is none" 2 'view' \
    describe -m "$yolox" "$bus" --view 200
tap_end
