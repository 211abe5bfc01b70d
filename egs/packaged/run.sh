#!/usr/bin/env bash
# Makes the packaged model out of a folder with real speech (speech/utterances.jsonl, splits train and dev, 16 kHz).
# Training takes two hours of one CPU core and goes on where it stopped when the recipe is run again. The stages:
#
#   0  check the data
#   1  training on split train       -> OUTPUT/train/model
#   2  calibration on split train    -> OUTPUT/calibration.json  (how much to trust text and voice)
#   3  evaluation on split dev       -> OUTPUT/metrics.json, OUTPUT/report
#   4  model card, packing           -> cse/pretrained/separator-2spk-16k
set -euo pipefail

stage=0              # first stage to run
stop_stage=4         # last stage to run
data_dir=            # folder with speech/utterances.jsonl
output=              # folder of everything that is made; egs/packaged/exp
mixtures=200         # dev mixtures to evaluate on

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../utils/path.sh"
output=${output:-$here/exp}
speech=$data_dir/speech/utterances.jsonl
name=separator-2spk-16k

run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

if run_stage 0; then
    if [ ! -f "$speech" ]; then
        echo "$0: no $speech; name the folder of the data with --data-dir" >&2
        exit 2
    fi
    mkdir -p "$output"
fi

if run_stage 1; then
    echo "Stage 1: training -> $output/train/model"
    common=(experiment=packaged "data.utterances=['$speech']" data.cache_dir="$output/cache")
    longer=(data.mixing.segment_s=3.0 data.batch_size=3)
    # short segments first, then longer ones, then once more from a higher learning rate
    cse train "${common[@]}" output="$output/first" trainer.max_steps=6250 optimizer.total_steps=11000
    cse train "${common[@]}" "${longer[@]}" output="$output/first" trainer.max_steps=11000
    cse train "${common[@]}" "${longer[@]}" output="$output/train" "trainer.init_from=[$output/first/model]" seed=5 \
        optimizer.learning_rate=1.5e-3 optimizer.warmup_steps=100 trainer.max_steps=5200 data.steps_per_epoch=650
fi

if run_stage 2; then
    echo "Stage 2: calibration -> $output/calibration.json"
    "$python" "$here/local/fit_calibration.py" --data "$data_dir" --output "$output/calibration.json"
fi

if run_stage 3; then
    echo "Stage 3: evaluation -> $output/metrics.json, $output/report"
    cse simulate utterances="$speech" output="$output/dev" split=dev min_history_turns=0 max_duration_s=12 \
        limit="$mixtures"
    # a talker with a single utterance has no other one to be recognised by
    grep -v '"enrollment": null' "$output/dev/mixtures.jsonl" >"$output/dev/enrolled.jsonl"
    cse evaluate --manifest "$output/dev/enrolled.jsonl" --model "$output/train/model" --cues enrollment \
        --json "$output/metrics.json" --report "$output/report"
fi

if run_stage 4; then
    echo "Stage 4: packing -> cse/pretrained/$name"
    "$python" "$here/local/pack.py" --model "$output/train/model" --calibration "$output/calibration.json" \
        --metrics "$output/metrics.json" --card "$here/local/model_card.md" --output "$repository/cse/pretrained/$name"
fi
