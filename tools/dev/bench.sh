# shellcheck shell=sh
# bench.sh: latency and memory of models, one thread and all; `peers` puts
# ONNX Runtime and OpenVINO beside us; `serve` is requests over HTTP,
# `train` steps of training, beside PyTorch.

bench() {
    need_for build
    build_release
    [ -x build/ocelli ] || die "there is no program to measure with yet"
    if [ "${1:-}" = peers ]; then
        shift
        bench_peers "$@"
        return
    fi
    if [ "${1:-}" = train ]; then
        shift
        bench_train "$@"
        return
    fi
    if [ "${1:-}" = serve ]; then
        bench_serve
        return
    fi
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

bench_peers() {
    bench_modules
    # shellcheck disable=SC2046
    [ $# -gt 0 ] || set -- $(bench_models)
    [ $# -gt 0 ] || die "no models in $shared/models; name some"
    build/venv/bin/python bench/peers.py --library build/libocelli.so \
        --threads "$(bench_threads | paste -sd ,)" \
        --json build/logs/bench-peers.json "$@"
}

# A JPEG through MobileNetV2 over HTTP, wrk at 8 and 64 connections, beside a
# FastAPI server with OpenVINO that does the same.
bench_serve() {
    model=$shared/models/mobilenet_v2_imagenet_nhwc.onnx
    labels=$shared/models/imagenet.labels.txt
    OC_BENCH_PICTURE=build/bench-65kB.jpg
    export OC_BENCH_PICTURE
    [ -f "$model" ] || die "no $model"
    need_for build bench
    have wrk || die "there is no wrk to measure with"
    bench_modules
    build/venv/bin/python - "$shared/images/cat_720p.jpg" \
        "$OC_BENCH_PICTURE" <<'END'
import sys
from PIL import Image
Image.open(sys.argv[1]).resize((800, 450)).save(sys.argv[2], quality=93)
END
    note "$OC_BENCH_PICTURE: $(wc -c <$OC_BENCH_PICTURE) bytes, 800 x 450"
    build/ocelli serve --model "m=$model" --listen 127.0.0.1:18642 \
        --log error &
    ours=$!
    build/venv/bin/python bench/serve_peer.py "$model" "$labels" 18643 &
    peer=$!
    # shellcheck disable=SC2064
    trap "kill $ours $peer 2>/dev/null" EXIT
    bench_wait 18642 && bench_wait 18643 || die "a server did not start"
    for round in 1 2 3; do
        for connections in 8 64; do
            bench_post ocelli $round $connections 18642
            bench_post peer $round $connections 18643
        done
    done
    kill $ours $peer
    wait $ours $peer || :
    trap - EXIT
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

bench_post() { # WHO ROUND CONNECTIONS PORT
    result=$(wrk -t 1 -c "$3" -d "${OC_BENCH_SECONDS:-5}s" \
        -s bench/serve_post.lua "http://127.0.0.1:$4/v1/classify" |
        tail -n 1)
    note "$1, $3 connections, round $2: $result"
}
