# shellcheck shell=sh
# bench.sh: latency and memory of models, one thread and all; `peers` puts
# ONNX Runtime and OpenVINO beside us.

bench() {
    need_for build
    build_release
    [ -x build/ocelli ] || die "there is no program to measure with yet"
    if [ "${1:-}" = peers ]; then
        shift
        bench_peers "$@"
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

bench_peers() {
    need_for build check
    oracle_venv || die "the Python modules are not there: no network?"
    cmp -s bench/requirements.txt build/venv/bench.txt ||
        logged pip-bench build/venv/bin/pip install -q --retries 1 \
            --only-binary :all: -r bench/requirements.txt ||
        die "the peers could not be installed"
    cp bench/requirements.txt build/venv/bench.txt
    # shellcheck disable=SC2046
    [ $# -gt 0 ] || set -- $(bench_models)
    [ $# -gt 0 ] || die "no models in $shared/models; name some"
    build/venv/bin/python bench/peers.py --library build/libocelli.so \
        --threads "$(bench_threads | paste -sd ,)" \
        --json build/logs/bench-peers.json "$@"
}
