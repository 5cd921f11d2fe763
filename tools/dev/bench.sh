# shellcheck shell=sh
# bench.sh: latency and memory of models, one thread and all; `peers` puts
# ONNX Runtime and OpenVINO beside us; `int8` is quantizing, beside NNCF and
# ONNX Runtime, `serve` requests over HTTP, `train` steps of training, beside
# PyTorch; `scale` and `size` need no peer.

bench() {
    need_for build
    build_release
    [ -x build/ocelli ] || die "there is no program to measure with yet"
    case ${1:-} in
    peers | int8 | train | serve | scale | size)
        what=bench_$1
        shift
        "$what" "$@"
        return
        ;;
    esac
    if [ $# -eq 0 ]; then
        set -- "$shared"/models/*.onnx
        [ -f "$1" ] || die "no models in $shared/models; name some"
    fi
    for model in "$@"; do
        say "$model"
        for threads in $(bench_threads); do
            build/ocelli bench "$model" --threads "$threads" ||
                note "failed"
        done
    done
}

# 1, and all there are.
bench_threads() {
    echo 1
    [ "$(nproc)" -eq 1 ] || nproc
}

# Steps of training beside PyTorch; NET:PIXELS:PICTURES_A_STEP each.  It is
# large, so that it has a place of its own and comes only when asked for here.
bench_train() {
    logged bench-train cmake --build build --target bench_train ||
        die "bench_train does not build"
    need_for build check
    python=build/venv-torch/bin/python
    if ! "$python" -c 'import torchvision' 2>/dev/null; then
        say "installing PyTorch in build/venv-torch"
        python3 -m venv build/venv-torch || die "no virtual environment"
        logged pip-torch build/venv-torch/bin/pip install -q --retries 1 \
            --only-binary :all: -r bench/requirements-train.txt ||
            die "PyTorch could not be installed"
    fi
    "$python" bench/train_peers.py --ours build/bench_train \
        --threads "$(bench_threads | paste -sd ,)" "$@"
}

# Models that make_models.py writes, once.
bench_models() {
    dir=build/bench-models
    if [ ! -d $dir ] && [ -f "$shared/bench/make_models.py" ]; then
        logged bench-models build/venv/bin/python \
            "$shared/bench/make_models.py" $dir.part >&2 &&
            mv $dir.part $dir
    fi
    for model in $dir/*.onnx "$shared"/models/*.onnx; do
        [ ! -f "$model" ] || echo "$model"
    done
}

# Whether time grows as the work does; networks that take any size.
bench_scale() {
    bench_modules
    if [ $# -eq 0 ]; then
        bench_models >/dev/null
        set -- build/bench-models/resnet18.onnx \
            build/bench-models/mobilenet_v2.onnx
    fi
    build/venv/bin/python bench/scale.py build/ocelli build/scale.svg \
        "$(bench_threads | paste -sd ,)" "$@"
}

# What the program weighs without the optional libraries, stripped.
bench_size() {
    off=$(sed -n 's/^oc_\(dependency\|loaded\)(\([A-Z0-9]*\).*/-DOC_WITH_\2=OFF/p' \
        cmake/OcDependencies.cmake)
    # shellcheck disable=SC2086
    logged size-cmake cmake -S . -B build/size -G Ninja -DOC_TESTS=OFF $off &&
        logged size-build cmake --build build/size --target ocelli ||
        die "the small program does not build"
    for program in build/size/ocelli build/ocelli; do
        strip -o build/size/stripped $program
        echo "$program, stripped: $(wc -c <build/size/stripped) bytes"
    done
}

# What the peers need, in build/venv.
bench_modules() {
    need_for build check
    oracle_venv || die "the Python modules are not there: no network?"
    cmp -s bench/requirements.txt build/venv/bench.txt && return
    logged pip-bench build/venv/bin/pip install -q --retries 1 \
        --only-binary :all: -r bench/requirements.txt ||
        die "the peers could not be installed"
    cp bench/requirements.txt build/venv/bench.txt
}

bench_peers() { # [bf16|avx2] [MODEL...]
    way=f32
    case ${1:-} in
    bf16 | avx2)
        way=$1
        shift
        ;;
    esac
    bench_modules
    # shellcheck disable=SC2046
    [ $# -gt 0 ] || set -- $(bench_models)
    [ $# -gt 0 ] || die "no models in $shared/models; name some"
    build/venv/bin/python bench/peers.py --library build/libocelli.so \
        --threads "$(bench_threads | paste -sd ,)" --way $way \
        --json "build/logs/bench-peers-$way.json" "$@"
}

# A data set of $shared, unpacked once.
bench_data() { # NAME
    [ ! -d "build/data/$1" ] || return 0
    [ -f "$shared/data/$1.tar" ] || die "no $shared/data/$1.tar"
    mkdir -p build/data
    tar xf "$shared/data/$1.tar" -C build/data || die "$1 cannot be unpacked"
}

# Models in 8 bits: ours, NNCF's and ONNX Runtime's, made of the same pictures.
bench_int8() { # [accuracy|speed|memory [--keep] [MODEL...]]
    case ${1:-} in
    '')
        for part in accuracy memory speed; do
            bench_int8 $part
        done
        return
        ;;
    accuracy | speed | memory) ;;
    *) die "bench int8 takes accuracy, speed or memory, not \"$1\"" ;;
    esac
    bench_modules
    if ! cmp -s bench/requirements-int8.txt build/venv/bench-int8.txt; then
        logged pip-int8 build/venv/bin/pip install -q --retries 1 \
            --only-binary :all: -r bench/requirements-int8.txt ||
            die "NNCF could not be installed"
        cp bench/requirements-int8.txt build/venv/bench-int8.txt
    fi
    bench_data imagenet_samples
    bench_data coco128
    part=$1 keep=
    shift
    if [ "${1:-}" = --keep ]; then
        keep=--keep
        shift
    fi
    # shellcheck disable=SC2046
    case $part in
    speed) [ $# -gt 0 ] || set -- $(bench_models) ;;
    memory)
        [ $# -gt 0 ] || set -- $(bench_models | grep vit_b16)
        [ $# -gt 0 ] || die "there is no ViT to measure with; name a model"
        ;;
    esac
    build/venv/bin/python bench/int8_peers.py $part --program build/ocelli \
        --library build/libocelli.so --shared "$shared" --data build/data \
        --work build/int8 --threads "$(bench_threads | paste -sd ,)" \
        --json "build/logs/bench-int8-$part.json" $keep "$@"
}

# A JPEG through MobileNetV2 over HTTP, wrk at 8 and 64 connections, beside a
# FastAPI server with OpenVINO that does the same.  Rounds are short and take
# turns, so what else the machine does meets both.  `int8` is the network as
# `ocelli quantize` writes it, --model another one that classifies; both
# servers get the same file.  `hard` is what ours bears.
bench_serve() { # [hard|int8] [--model FILE]
    model=$shared/models/mobilenet_v2_imagenet_nhwc.onnx
    labels=$shared/models/imagenet.labels.txt
    OC_BENCH_PICTURE=build/bench-65kB.jpg
    export OC_BENCH_PICTURE
    what=
    while [ $# -gt 0 ]; do
        case $1 in
        hard | int8) what=$1 ;;
        --model)
            [ $# -gt 1 ] || die "--model takes a file"
            model=$2
            shift
            ;;
        *) die "bench serve takes hard, int8, --model FILE, not \"$1\"" ;;
        esac
        shift
    done
    [ -f "$model" ] || die "no $model"
    need_for build bench
    have wrk || die "there is no wrk to measure with"
    bench_modules
    bench_picture
    [ "$what" != int8 ] || bench_serve_int8
    if [ "$what" = hard ]; then
        say "serving under hardship"
        build/venv/bin/python bench/serve_hard.py build/ocelli "$model" \
            "$OC_BENCH_PICTURE" "${OC_BENCH_SECONDS:-60}" ||
            die "the server did not bear all of it"
        return
    fi
    # Not the pipe of whoever reads this, who would wait for them.
    build/ocelli serve --model "m=$model" --listen 127.0.0.1:18642 \
        --log error >"$logs/bench-ours.log" 2>&1 &
    ours=$!
    build/venv/bin/python bench/serve_peer.py "$model" "$labels" 18643 \
        >"$logs/bench-peer.log" 2>&1 &
    peer=$!
    # shellcheck disable=SC2064
    trap "kill $ours $peer 2>/dev/null" EXIT
    trap 'exit 1' INT TERM
    bench_wait 18642 && bench_wait 18643 || die "a server did not start"
    : >"$logs/bench-serve.txt"
    # The first round warms both.
    for round in 0 $(seq "${OC_BENCH_ROUNDS:-5}"); do
        for connections in 8 64; do
            bench_post ocelli "$round" $connections 18642 $ours
            bench_post peer "$round" $connections 18643 $peer
        done
    done
    bench_ratios
    kill $ours $peer
    wait $ours $peer 2>/dev/null || :
    trap - EXIT INT TERM
}

# $model in 8 bits, where they are faster on this machine.
bench_serve_int8() {
    bench_data imagenet_samples
    mkdir -p build/int8
    out=build/int8/serve.onnx
    logged bench-quantize build/ocelli quantize "$model" -o $out \
        --data build/data/imagenet_samples --quiet ||
        die "the model cannot be quantized"
    model=$out
}

# 65 kB, as cameras make them.
bench_picture() {
    build/venv/bin/python - "$shared/images/cat_720p.jpg" \
        "$OC_BENCH_PICTURE" <<'END'
import sys
from PIL import Image
picture = Image.open(sys.argv[1]).resize((800, 450))
quality = 95
while True:
    picture.save(sys.argv[2], quality=quality)
    with open(sys.argv[2], "rb") as f:
        if len(f.read()) <= 66000:
            break
    quality -= 1
END
    note "$OC_BENCH_PICTURE: $(wc -c <$OC_BENCH_PICTURE) bytes, 800 x 450"
}

bench_wait() { # PORT
    tries=0
    until build/venv/bin/python -c "import socket
socket.create_connection(('127.0.0.1', $1), 1)" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || return 1
        sleep 0.5
    done
}

# Clock ticks that a process has had.
bench_ticks() { # PID
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# wrk leaves requests behind when its time is over, and a server that goes on
# with them takes the cores from whoever is measured next.
bench_rest() { # PID...
    for pid in "$@"; do
        tries=0
        before=-1
        while ticks=$(bench_ticks "$pid") && [ "$ticks" -ne $before ]; do
            before=$ticks
            tries=$((tries + 1))
            [ $tries -lt 40 ] || die "a server does not come to rest"
            sleep 0.5
        done
    done
}

bench_post() { # WHO ROUND CONNECTIONS PORT PID
    bench_rest $ours $peer
    before=$(bench_ticks "$5")
    result=$(wrk -t 1 -c "$3" -d "${OC_BENCH_SECONDS:-5}s" --timeout 30s \
        -s bench/serve_post.lua "http://127.0.0.1:$4/v1/classify" |
        tail -n 1)
    ticks=$(($(bench_ticks "$5") - before))
    [ "$2" -ne 0 ] || return 0
    # serve_post.lua: N requests/s, p50 N ms, p99 N ms, errors N, N in all
    cpu=$(echo "$result" | awk -v ticks=$ticks -v hz="$(getconf CLK_TCK)" \
        '{ n = $(NF - 2); printf "%.1f", n ? 1000 * ticks / hz / n : 0 }')
    note "$1, $3 connections, round $2: $result, $cpu ms of cores each"
    echo "$1 $3 $result $cpu" >>"$logs/bench-serve.txt"
}

# The median round of each, and how many times better ours is.
bench_ratios() {
    build/venv/bin/python - "$logs/bench-serve.txt" <<'END'
import re
import statistics
import sys
rounds = {}
for line in open(sys.argv[1]):
    who, connections = line.split()[:2]
    f = [float(x) for x in re.findall(r"[\d.]+", line.split(" ", 2)[2])]
    # "p50" and "p99" have figures too.
    rounds.setdefault((connections, who), []).append(
        (f[0], f[2], f[4], f[-1]))
for c in ("8", "64"):
    ours, peer = ([statistics.median(column) for column in zip(*rounds[c, w])]
                  for w in ("ocelli", "peer"))
    print(f"    {c} connections: {ours[0] / peer[0]:.2f} times the requests "
          f"a second, p50 {ours[1] / peer[1]:.2f}, p99 "
          f"{ours[2] / peer[2]:.2f}, cores {ours[3] / peer[3]:.2f} of the "
          f"peer's (medians); ours are {60 * ours[0]:.0f} a minute")
END
}
