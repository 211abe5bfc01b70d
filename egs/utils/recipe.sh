# The stages that the recipes of real corpora share (dailytalk, spokenwoz, tedlium3). Their run.sh is its options, what is
# the corpus's own, and one line that sources this file:
#
#   . "$(dirname "$0")/../utils/parse_options.sh"
#   here=$(cd "$(dirname "$0")" && pwd)
#   ...                                   # the variables and functions below
#   . "$here/../utils/recipe.sh"
#
# Options, declared at the top of run.sh with a default and a comment each (parse_options.sh makes --help of them):
#   stage stop_stage quick experiment data_dir lists skip_missing output noise train_options engine workers
#
# Variables that run.sh sets after its options:
#   corpus              name of the corpus in messages
#   published           array of files to fetch, as they lie in data/ of the paper's repository: DailyTalk/test_mix.txt ...
#   test_list           which of them names the test mixtures
#   talkers             voices in a mixture
#   min_history_turns   mixtures whose target has so many previous turns are scored, 0 for all
#   disjoint            speakers, or dialogues where the same people talk in all splits
#   utterances          where stage 1 puts its manifest, if not into $output: several runs may share it
#   training            array of Hydra overrides of every training; () for none
#   cued_training       array of overrides of trainings with a history: listener, contsep, cont_ext, h_cont_ext
#
# Functions that run.sh defines (the working directory is the caller's; an exit code other than 0 ends the recipe):
#   check_corpus        stage 0: says what to download and from where, or downloads; names what is missing in $data_dir
#   prepare_corpus      stage 1: makes $utterances of $data_dir, with the splits train, dev and test; may read $lists_dir
#
# Beside run.sh lies path.sh, which sources egs/utils/path.sh.
#
# What they can use: $here (egs/CORPUS), $utils (egs/utils), $python, $data_dir, $output, $utterances, $lists_dir (folder of
# the fetched lists: $lists_dir/DailyTalk/test_mix.txt), $quick, and the array engine_options (--engine NAME --workers N).
#
# Everything is resumable: a stage that was interrupted goes on where it stopped when the recipe is run again.

utils=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/path.sh"

suffix=
! $quick || suffix=_quick
output=${output:-$here/exp$suffix}
mkdir -p "$output"
output=$(cd "$output" && pwd)
utterances=${utterances:-$output/utterances.jsonl}
lists_dir=$output/lists
mixtures=$output/test/mixtures.jsonl

# an experiment is one of configs/experiment/corpus, unless it says another family: published/contsep
model=${experiment##*/}
family=corpus models=$output
if [ "$model" != "$experiment" ]; then
    family=${experiment%/*} models=$output/${experiment%/*}
fi

if $quick && [ "$family" = published ]; then
    echo "$0: the published networks are not for --quick: they read with Llama; try them with --train-options" >&2
    exit 2
fi

# the smallest networks that have all parts, and a few steps: shows that everything works, not how well
quick_training=(
    backbone.width=8 backbone.hidden=8 ++backbone.repeats=1 data.batch_size=2 data.steps_per_epoch=2
    data.validation_mixtures=2 data.validation_segment_s=1 data.mixing.segment_s=1 data.workers=0
    trainer.max_steps=2 trainer.accelerator=cpu trainer.precision=32-true
)
quick_mixtures=6

engine_options=(--engine "$engine" ${workers:+--workers "$workers"})

run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

# train MODEL OPTION...: nothing to do if that model is there
train() {
    local name=$1 options=("${training[@]}")
    shift
    [ ! -e "$models/$name/model" ] || return 0
    [ "$name" = separator ] || options+=("${cued_training[@]}")
    ! $quick || options+=("${quick_training[@]}")
    if [ -n "$noise" ]; then
        options+=("data.noise='$noise'")
    elif [[ $train_options != *data.noise=* ]]; then
        options+=(data.mixing.noise_probability=0)
    fi
    # shellcheck disable=SC2206  # words on purpose
    options+=($train_options)
    cse train experiment="$family/$name" talkers="$talkers" "data.utterances=['$utterances']" \
        data.disjoint="$disjoint" output="$models/$name" data.cache_dir="$output/cache" "$@" "${options[@]}"
}

# newer RESULT MODEL: whether that evaluation was made after that model
newer() { [ -f "$1" ] && [ "$1" -nt "$2/config.json" ]; }

if run_stage 0; then
    echo "Stage 0: $corpus as distributed, and the paper's lists -> $lists_dir"
    check_corpus
    "$python" "$utils/fetch_lists.py" --output "$lists_dir" ${lists:+--source "$lists"} "${published[@]}"
fi

if run_stage 1; then
    echo "Stage 1: preparation -> $utterances"
    prepare_corpus
fi

if run_stage 2; then
    echo "Stage 2: does anything of one split leak into another?"
    "$python" "$utils/check_leaks.py" "$utterances" --disjoint "$disjoint"
fi

if run_stage 3; then
    echo "Stage 3: the paper's test mixtures -> $mixtures"
    few=()
    if $quick || $skip_missing; then few+=(skip_missing=true); fi
    ! $quick || few+=(limit="$quick_mixtures")
    cse simulate list="$lists_dir/$test_list" utterances="$utterances" output="$output/test" split=test \
        preset=paper talkers="$talkers" engine="$engine" ${workers:+workers="$workers"} "${few[@]}"
fi

if run_stage 4; then
    echo "Stage 4: training -> $models/$model/model"
    starts=()
    if [ "$model" != separator ]; then
        # the published networks choose without listening to what they separated
        [ "$family" = published ] || starts=(listener)
        starts+=(separator)
    fi
    for start in "${starts[@]}"; do
        train "$start"
    done
    if [ "$model" = separator ]; then
        train separator
    else
        init_from=$(printf ",'$models/%s/model'" "${starts[@]}")
        train "$model" "trainer.init_from=[${init_from#,}]"
    fi
fi

if run_stage 5; then
    echo "Stage 5: evaluation -> $models/results-$model.md, $models/$model/report/index.html"
    if ! newer "$models/$model/history.json" "$models/$model/model"; then
        cse evaluate --manifest "$mixtures" --model "$models/$model/model" --cues history \
            --min-history-turns "$min_history_turns" --json "$models/$model/history.json" \
            --report "$models/$model/report"
    fi
    "$python" "$utils/compare.py" "$models" "$model" --manifest "$mixtures" --conditions "$utils/conditions.yaml" \
        --min-history-turns "$min_history_turns" --table "$models/results-$model.md"
fi

if run_stage 6; then
    echo "Stage 6: one extraction with $model -> $output/voice.wav"
    # the recipe goes on to its end also where the model judges the target absent
    mixture=$("$python" "$utils/first_mixture.py" "$mixtures" --history "$output/history.json" \
        --min-history-turns "$min_history_turns")
    cse extract "$mixture" --history "$output/history.json" --model "$models/$model/model" \
        --on-absent passthrough -o "$output/voice.wav" --json
fi
