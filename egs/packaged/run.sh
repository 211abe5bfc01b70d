#!/usr/bin/env bash
# Makes everything that is packaged out of a folder with real speech (speech/utterances.jsonl, splits train and dev,
# 16 kHz), dialogues as text (dialogues/*.jsonl.gz) and noise (noise/). Goes on where it stopped when it is run again.
#
#   0  rooms                                                       -> OUTPUT/rirs
#   1  separator: a small one, grown, trained on (--device cpu),
#      one that is there, trained on (--init),
#      or a larger one from scratch (--device gpu)                 -> OUTPUT/separator/model
#   2  scorer: which words continue a conversation                 -> OUTPUT/scorer, and cse/pretrained/next-turn-scorer
#   3  calibration: how much to trust text and voice               -> OUTPUT/calibration.json
#   4  packing                                                     -> OUTPUT/packaged
#   5  evaluation of the packed model on talkers of split dev and
#      on DailyTalk, none of which anything was trained on         -> OUTPUT/evaluation
#   6  the same model with its card                                -> cse/pretrained/separator-16k
set -euo pipefail

stage=0          # first stage to run
stop_stage=6     # last stage to run
data_dir=        # folder with speech/, dialogues/ and noise/
output=          # folder of everything that is made; egs/packaged/exp
device=cpu       # cpu or gpu
processes=2      # cpu: training processes of one thread each
steps=5500       # cpu: training steps of the grown separator; more make it better
small=           # cpu: checkpoint of a small separator to grow, e.g. separator-2spk-16k; trained first where none is named
init=            # cpu: checkpoint of a separator to train on instead of a grown one, e.g. separator-16k
train_options=   # more options of cse train for the separator, in quotes: "data.mixing.segment_s=4 optimizer.learning_rate=5e-4"
quick=false      # a few steps of everything: shows that it works

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../utils/path.sh"
suffix='' test_run=() test_scorer=() test_calibration=() test_evaluation=() rooms=1000
if $quick; then
    suffix=_quick steps=4 rooms=20
    test_run=(trainer.max_steps=4 optimizer.total_steps=4 data.steps_per_epoch=2 data.validation_mixtures=4 trainer.compile_model=false data.workers=0)
    test_scorer=(--share 0.01 --steps 20)
    test_calibration=(--dialogues 20 --mixtures 4)
    test_evaluation=(--quick)
fi
output=${output:-$here/exp$suffix}
speech=$data_dir/speech/utterances.jsonl

run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

if run_stage 0; then
    for needed in "$speech" "$data_dir/dialogues" "$data_dir/noise"; do
        if [ ! -e "$needed" ]; then
            echo "$0: no $needed; name the folder of the data with --data-dir" >&2
            exit 2
        fi
    done
    mkdir -p "$output"
    echo "Stage 0: rooms -> $output/rirs"
    cse rirs output="$output/rirs" count="$rooms" sample_rate=16000 talkers=3 'rooms.rt60_s=[0.15,0.6]' engine=pool
fi

if run_stage 1; then
    echo "Stage 1: separator -> $output/separator/model"
    common=("data.utterances=['$speech']" data.cache_dir="$output/cache")
    large=("${common[@]}" data.noise="$data_dir/noise" data.mixing.bank="$output/rirs" output="$output/separator")
    # shellcheck disable=SC2086  # words on purpose
    if [ "$device" = gpu ]; then
        cse train experiment=packaged/gpu "${large[@]}" $train_options "${test_run[@]}"
    else
        if [ -z "$init" ]; then
            if [ -z "$small" ]; then
                cse train experiment=packaged/small "${common[@]}" output="$output/small" "${test_run[@]}"
                small=$output/small/model
            fi
            "$python" "$here/local/grow.py" --model "$small" --output "$output/grown"
            init=$output/grown
        fi
        # a process of one thread a core: threads of one process wait for each other at every step of a recurrent layer
        OMP_NUM_THREADS=1 cse train experiment=packaged/separator "${large[@]}" "trainer.init_from=['$init']" \
            trainer.devices="$processes" trainer.strategy=ddp trainer.accelerator=cpu data.batch_size=$((8 / processes)) \
            trainer.max_steps="$steps" optimizer.total_steps="$steps" $train_options "${test_run[@]}"
    fi
fi

if run_stage 2; then
    echo "Stage 2: scorer -> $output/scorer"
    "$python" "$here/local/train_scorer.py" --data "$data_dir" --output "$output/scorer" "${test_scorer[@]}"
    $quick || cp "$output/scorer/next-turn-scorer"/* "$repository/cse/pretrained/next-turn-scorer/"
fi

packed() {
    "$python" "$here/local/pack.py" --model "$output/separator/model" --card "$here/local/model_card.md" "$@"
}

if run_stage 3; then
    echo "Stage 3: calibration -> $output/calibration.json"
    mkdir -p "$output/uncalibrated"
    packed --output "$output/uncalibrated/separator-16k"
    "$python" "$here/local/fit_calibration.py" --data "$data_dir" --model "$output/uncalibrated/separator-16k" \
        --scorer "$output/scorer/next-turn-scorer" --output "$output/calibration.json" "${test_calibration[@]}"
fi

if run_stage 4; then
    echo "Stage 4: packing -> $output/packaged"
    mkdir -p "$output/packaged"
    packed --calibration "$output/calibration.json" --output "$output/packaged/separator-16k"
fi

if run_stage 5; then
    echo "Stage 5: evaluation -> $output/evaluation"
    "$here/local/evaluate.sh" --data-dir "$data_dir" --model "$output/packaged/separator-16k" --output "$output/evaluation" \
        "${test_evaluation[@]}"
fi

if run_stage 6 && ! $quick; then
    echo "Stage 6: cse/pretrained"
    packed --calibration "$output/calibration.json" --results "$output/evaluation/results.md" --output "$repository/cse/pretrained/separator-16k"
fi
