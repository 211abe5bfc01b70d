#!/usr/bin/env bash
# Mini recipe: the whole way from a corpus to a scored model in 20 minutes on two CPU cores, without a network.
# The synthesiser flite speaks short dialogues, two of them are mixed in a room, and the model is judged by whether
# it returns the voice that continues its dialogue. The stages:
#
#   0  dialogues and speech  -> DATA_DIR/utterances.jsonl
#   1  test mixtures in rooms -> OUTPUT/test/mixtures.jsonl   (training mixes on the fly)
#   2  training              -> OUTPUT/train/model
#   3  evaluation            -> OUTPUT/metrics.json, OUTPUT/report/index.html
#   4  one extraction        -> OUTPUT/voice.wav
#
# A stage that was interrupted goes on where it stopped when the recipe is run again.
set -euo pipefail

stage=0              # first stage to run
stop_stage=4         # last stage to run
quick=false          # a small corpus and a short training: shows that everything works, in 3 minutes
experiment=mini      # configs/experiment/NAME.yaml
data_dir=            # folder of the corpus; egs/mini/data, or data_quick with --quick
output=              # folder of everything else; egs/mini/exp/EXPERIMENT, or EXPERIMENT_quick with --quick

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../utils/path.sh"

if $quick; then
    train_dialogues=24 dev_dialogues=6 test_dialogues=6 test_mixtures=8 suffix=_quick
    training=(trainer.max_steps=60)
else
    train_dialogues=144 dev_dialogues=24 test_dialogues=24 test_mixtures=100 suffix=
    training=()
fi
data_dir=${data_dir:-$here/data$suffix}
output=${output:-$here/exp/$experiment$suffix}

run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

if run_stage 0; then
    echo "Stage 0: dialogues and speech -> $data_dir/utterances.jsonl"
    "$here/../utils/install_flite.sh"
    "$python" "$here/local/prepare.py" --output "$data_dir" \
        --train "$train_dialogues" --dev "$dev_dialogues" --test "$test_dialogues"
fi

if run_stage 1; then
    echo "Stage 1: test mixtures in rooms -> $output/test/mixtures.jsonl"
    cse simulate utterances="$data_dir/utterances.jsonl" output="$output/test" split=test limit="$test_mixtures" \
        talkers=2 sample_rate=16000 'rooms.rt60_s=[0.15,0.3]'
fi

if run_stage 2; then
    echo "Stage 2: training -> $output/train/model"
    cse train experiment="$experiment" "data.utterances=['$data_dir/utterances.jsonl']" output="$output/train" \
        "${training[@]}"
fi

if run_stage 3; then
    echo "Stage 3: evaluation -> $output/metrics.json, $output/report/index.html"
    cse evaluate --manifest "$output/test/mixtures.jsonl" --model "$output/train/model" --cues history \
        --json "$output/metrics.json" --report "$output/report"
fi

if run_stage 4; then
    echo "Stage 4: one extraction -> $output/voice.wav"
    # the first test mixture, with its history in the form that `cse extract` reads; the recipe goes on to its end
    # also where the model judges the target absent
    mixture=$("$python" "$here/local/first_mixture.py" "$output/test/mixtures.jsonl" --history "$output/history.json")
    cse extract "$mixture" --history "$output/history.json" --model "$output/train/model" \
        --on-absent passthrough -o "$output/voice.wav" --json
fi
