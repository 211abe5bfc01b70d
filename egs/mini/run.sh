#!/usr/bin/env bash
# Mini recipe: the whole way from a corpus to scored models in half an hour on two CPU cores, without a network.
# The synthesiser flite speaks short dialogues, two of them are mixed in a room, and each model is judged by whether
# it returns the voice that continues its dialogue: under the right history, under the interferer's, and under none.
# The stages:
#
#   0  dialogues and speech  -> DATA_DIR/utterances.jsonl
#   1  test mixtures in rooms -> OUTPUT/test/mixtures.jsonl   (training mixes on the fly)
#   2  training              -> OUTPUT/MODEL/model            (for each model)
#   3  evaluation            -> OUTPUT/MODEL/CONDITION.json, OUTPUT/MODEL/report/index.html, OUTPUT/results.md
#   4  one extraction        -> OUTPUT/voice.wav
#
# A stage that was interrupted goes on where it stopped when the recipe is run again.
set -euo pipefail

stage=0              # first stage to run
stop_stage=4         # last stage to run
quick=false          # a small corpus and short trainings: shows that everything works, in 3 minutes
experiment=all       # separator, contsep, cont_ext, h_cont_ext (configs/experiment/mini/NAME.yaml), or all of them
data_dir=            # folder of the corpus; egs/mini/data, or data_quick with --quick
output=              # folder of everything else; egs/mini/exp, or exp_quick with --quick

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../utils/path.sh"
. "$here/../utils/parallel.sh"

if $quick; then
    train_dialogues=24 dev_dialogues=6 test_dialogues=6 test_mixtures=6 suffix=_quick
    training=(trainer.max_steps=4 data.validation_mixtures=6)
else
    train_dialogues=560 dev_dialogues=36 test_dialogues=48 test_mixtures=160 suffix=
    training=()
fi
data_dir=${data_dir:-$here/data$suffix}
output=${output:-$here/exp$suffix}
models=(separator contsep cont_ext h_cont_ext)
[ "$experiment" = all ] || models=("$experiment")

# wanted MODEL: whether that one is trained; h_cont_ext needs contsep
wanted() {
    [[ " ${models[*]} " = *" $1 "* ]] || { [ "$1" = contsep ] && [[ " ${models[*]} " = *" h_cont_ext "* ]]; }
}

run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

# train MODEL OPTION...: in the background; nothing to do if that model is there
train() {
    local model=$1
    shift
    [ ! -e "$output/$model/model" ] || return 0
    start "$output/$model/train.log" cse train experiment="mini/$model" "data.utterances=['$data_dir/utterances.jsonl']" \
        output="$output/$model" data.cache_dir="$output/cache" "$@" "${training[@]}"
}

# compare MODEL... [--table FILE]: under the conditions that are not measured yet
compare() {
    "$python" "$here/../utils/compare.py" "$output" "$@" --manifest "$output/test/mixtures.jsonl" \
        --conditions "$here/local/conditions.yaml"
}

# evaluate MODEL: by the history, with a report; then under all other conditions
evaluate() {
    local model=$1 limit=()
    # the cascade transcribes, which takes longer than everything else together
    [ "$model" != separator ] || limit=(--limit $((test_mixtures / 3)))
    cse evaluate --manifest "$output/test/mixtures.jsonl" --model "$output/$model/model" --cues history \
        --json "$output/$model/history.json" --report "$output/$model/report" "${limit[@]}"
    compare "$model"
}

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
    echo "Stage 2: training -> $output/{separator,listener,contsep,cont_ext,h_cont_ext}/model"
    train separator
    [ "${models[*]}" = separator ] || train listener
    finish
    for model in contsep cont_ext; do
        ! wanted "$model" || train "$model" "trainer.init_from=['$output/listener/model','$output/separator/model']"
    done
    finish
    # goes on from contsep, whose listener has learned what a separator leaves of voices
    ! wanted h_cont_ext || train h_cont_ext "trainer.init_from=['$output/listener/model','$output/contsep/model']"
    finish
fi

if run_stage 3; then
    echo "Stage 3: evaluation -> $output/results.md, $output/MODEL/report/index.html"
    for model in "${models[@]}"; do
        start "$output/$model/evaluate.log" evaluate "$model"
    done
    finish
    compare "${models[@]}" --table "$output/results.md"
fi

if run_stage 4; then
    model=${models[-1]}
    echo "Stage 4: one extraction with $model -> $output/voice.wav"
    # the first test mixture, with its history in the form that `cse extract` reads; the recipe goes on to its end
    # also where the model judges the target absent
    mixture=$("$python" "$here/../utils/first_mixture.py" "$output/test/mixtures.jsonl" --history "$output/history.json")
    cse extract "$mixture" --history "$output/history.json" --model "$output/$model/model" \
        --on-absent passthrough -o "$output/voice.wav" --json
fi
