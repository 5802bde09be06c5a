#!/usr/bin/env bash
# All that a GPU is needed for, in ten minutes: does it run, are the bits right, are addresses, how fast is it?
#
#     OUT=folder bash benchmarks/first_contact.sh [STEP ...]
#
# wants Python with NumPy, CuPy and pytest; PyTorch and JAX take part where they are. It needs no network:
# wheels in the folder .whl are installed for the run alone. Each step has a limit of its own and a log
# in $OUT, beside the benchmark's results: eight files in all. What a step finds does not keep the next
# from running.
set -uo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=first-contact}" "${WHOLE:=570}" "${LEAST:=15}"  # seconds in all, and those worth a start
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
SITE=$(mktemp -d)
trap 'rm -rf "$SITE"' EXIT
export PYTHONPATH="$PWD:$SITE" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export CUPY_CACHE_DIR=${CUPY_CACHE_DIR:-$SITE/cupy} XLA_PYTHON_CLIENT_PREALLOCATE=false
if compgen -G ".whl/*.whl" >/dev/null; then
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$SITE" .whl/*.whl
fi
PYTEST="python3 -m pytest --require-gpu -q -p no:cacheprovider"
python3 -c "import pytest_timeout" 2>/dev/null && PYTEST+=" --timeout=200"

wanted=" $* "
step() {  # NAME SECONDS LINES COMMAND...: at most so many seconds; shows so many lines of what it says
    local name=$1 most=$2 lines=$3 left=$((WHOLE - SECONDS)) start=$SECONDS status
    shift 3
    [[ "$wanted" == "  " || "$wanted" == *" $name "* ]] || return 0
    if ((left < LEAST)); then
        echo "== $name: no time left"
        return 0
    fi
    timeout -k 5 $((most < left ? most : left)) "$@" >"$OUT/$name.log" 2>&1
    status=$?
    echo "== $name: status $status after $((SECONDS - start)) s"
    tail -n "$lines" "$OUT/$name.log"
}

step smoke 60 30 python3 benchmarks/gpu_smoke.py
step kernels 150 2 python3 tests/kernel_cases.py --compile-for-gpu
step bits 150 8 $PYTEST tests/test_gpu.py -k "not sanitizer"
step libraries 100 8 $PYTEST tests/test_gradient.py tests/test_libraries.py tests/devices -k "cupy"
step memcheck 120 8 $PYTEST tests/test_gpu.py -k sanitizer
step speed 280 60 python3 -m benchmarks gpu --output "$OUT"
step counters 90 40 ncu --clock-control none --kernel-name regex:gpugrad --csv --metrics \
    gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed,sm__inst_issued.avg.pct_of_peak_sustained_active,l1tex__t_sector_hit_rate.pct,launch__registers_per_thread,sm__warps_active.avg.pct_of_peak_sustained_active \
    python3 benchmarks/gpu_smoke.py --launches
echo "== all: $SECONDS s"
