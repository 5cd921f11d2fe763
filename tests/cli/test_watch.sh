#!/bin/sh
# test_watch.sh: ocelli watch, on videos that ffmpeg makes here of a picture of
# ../shared: nothing, a street, nothing.
. "$(dirname "$0")/tap.sh"
need_shared

yolox=$models/yolox_nano_coco.onnx
bus='A bus ahead, large and close; three people .*'

fails "watch without a source" 2 'too few operands' watch -m "$yolox"
fails "watch without a model" 2 'needs a model' watch x.mp4
fails "a cool-down that is none" 2 'cool-down' watch x.mp4 -m "$yolox" \
    --cool-down -1

# ---- folders -----------------------------------------------------------------

mkdir street
cp "$images/bus.jpg" street/a.jpg
cp "$images/bus.jpg" street/b.jpg
cp "$images/bus.jpg" street/c.jpg
cp "$images/cat_720p.jpg" street/d.jpg
passes "a folder's pictures are watched, and told once" "^ +0\.2 s  $bus\.$" \
    watch street -m "$yolox"
ok "what does not change is not said again" equal lines "$(wc -l <out)" 1
passes "with --steady 1 a picture suffices" '^ +0\.6 s  A cat ahead' \
    watch street -m "$yolox" --steady 1
run watch street -m "$yolox" --json --steady 1 --locale de
ok "--json is a line for each picture" equal lines "$(wc -l <out)" 4
sed -n 1p out >first && mv first out
json "a line has the news and what they rest on" \
    'd["news"].startswith("Ein Bus voraus") and d["frame"] == 0 and
      len(d["things"]) == 4 and d["input"] == "street/a.jpg"'
run watch street -m "$yolox" --out drawn --count 2
ok "--out draws what was looked at, --count ends it" \
    holds drawn 000000.jpg 000001.jpg
printf 'no picture' >street/bb.jpg
run watch street -m "$yolox"
# shellcheck disable=SC2016
ok "a bad picture is told and passed over" \
    sh -c 'grep -q "bb.jpg" err && grep -q "A bus" out && [ "$1" -ne 0 ]' \
    sh "$rc"

# ---- videos ------------------------------------------------------------------

run watch nowhere.mp4 -m "$yolox"
ok "a video that is not there" complains '^ocelli: .*nowhere.mp4'
if ! command -v ffmpeg >/dev/null ||
    "$OCELLI" watch nowhere.mp4 -m "$yolox" 2>&1 | grep -q FFmpeg; then
    skip "videos" "no ffmpeg to make them, or a build without it"
    tap_end
fi

gray() { # SECONDS
    echo "-f lavfi -t $1 -i color=gray:s=480x640:r=10"
}
# shellcheck disable=SC2046
ffmpeg -v error -y $(gray 1.5) -loop 1 -t 2.5 -i "$images/bus.jpg" \
    $(gray 8) -filter_complex \
    '[1]scale=480:640,setsar=1,fps=10[b];[0][b][2]concat=n=3' \
    -c:v mpeg4 -q:v 2 street.mp4 2>ffmpeg.err || {
    skip "videos" "ffmpeg makes none here"
    tap_end
}
passes "a video is told by its own time" "^ +[12]\.. s  $bus\.$" \
    watch street.mp4 -m "$yolox" --fps 3
ok "and what is gone" prints '^ +[78]\.. s  No longer there: a bus and three'
ok "nothing else is said" equal lines "$(wc -l <out)" 2
run watch street.mp4 -m "$yolox" --json --fps 2
ok "--fps 2 of 12 seconds are 24 pictures" equal lines "$(wc -l <out)" 24
run watch street.mp4 -m "$yolox" --json --fps 0.5
ok "their times are those of the file" equal times \
    "$(sed 's/.*"seconds":\([0-9.]*\).*/\1/' out | tr '\n' ' ')" \
    '0 2 4 6 8 10 '
fails "a file that is no video" 3 'no video' watch "$yolox" -m "$yolox"
head -c 3000 street.mp4 >cut.mp4
fails "a video that is cut short" 3 'cut.mp4' watch cut.mp4 -m "$yolox"
fails "a camera that is not there" 3 '/dev/video97' watch 97 -m "$yolox"
fails "a stream nobody sends" 3 'refused' watch rtsp://127.0.0.1:1/x \
    -m "$yolox"

# A source whose time passes: sent as it is shown, over TCP.
port=$((20000 + $$ % 20000))
ffmpeg -v error -re -i street.mp4 -t 3.5 -c:v mpeg2video -q:v 2 -f mpegts \
    "tcp://127.0.0.1:$port?listen=1" 2>ffmpeg.err &
sender=$!
sleep 1
run watch "tcp://127.0.0.1:$port" -m "$yolox" --json --fps 2
kill $sender 2>/dev/null
wait $sender
ok "a stream is watched" prints '"news":"A bus ahead'
ok "what comes too fast is left out" \
    sh -c '! tail -n 1 out | grep -q "\"dropped\":0,"'

# Spoken, a file takes its time; the loudspeaker is ours.
if ! "$OCELLI" speak --voices | grep -q flite; then
    skip "watch --speak" "no flite"
    tap_end
fi
mkdir bin
printf '#!/bin/sh\nexec cat >>played\n' >bin/aplay
chmod +x bin/aplay
PATH=$tap_dir/bin:$PATH
"$OCELLI" watch street.mp4 -m "$yolox" --speak --voice kal16 >out 2>err &
watcher=$!
sleep 3.5
kill -INT $watcher
rc=0
wait $watcher || rc=$?
ok "watch --speak tells as it happens, and SIGINT ends it" done_with "$bus"
# shellcheck disable=SC2016
ok "it was heard" sh -c '[ "$(wc -c <played)" -gt 32000 ]'
tap_end
