# Runs commands two at a time, one thread of arithmetic each: on two cores that is quicker than one command with two
# threads, since small networks leave the second one waiting.
#
#   start LOG COMMAND...   in the background, its output in LOG
#   finish                 waits for all; ends the script if one of them failed

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
_pids=() _logs=()
trap '[ ${#_pids[@]} -eq 0 ] || kill "${_pids[@]}" 2>/dev/null || true' EXIT

start() {
    local log=$1
    shift
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        sleep 0.2
    done
    mkdir -p "$(dirname "$log")"
    echo "  $log"
    "$@" >"$log" 2>&1 &
    _pids+=($!) _logs+=("$log")
}

finish() {
    local failed=
    for _job in "${!_pids[@]}"; do
        wait "${_pids[$_job]}" || failed=${_logs[$_job]}
    done
    _pids=() _logs=()
    if [ -n "$failed" ]; then
        tail -n 5 "$failed" >&2
        echo "failed; all that it said is in $failed" >&2
        exit 1
    fi
}
