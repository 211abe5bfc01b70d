#!/usr/bin/env bash
# Measures a packaged model on real recordings that it was never trained on, and writes one table for its card:
#
#   0  evaluation sets: split dev of the data's talkers, and DailyTalk     -> OUTPUT/sets
#   1  every run of `cse evaluate`, with reports for three of them         -> OUTPUT/RUN.json, OUTPUT/reports
#   2  the table, with 95 % intervals and the commands                     -> OUTPUT/results.md
#      and how separation depends on the pitch of the voices
#
# What is there already is not made again; a run is made again when the model is newer than it.
set -euo pipefail

stage=0              # first stage to run
stop_stage=2         # last stage to run
data_dir=            # folder with speech/utterances.jsonl and corpora/DailyTalk
model=               # folder or name of the model; the packaged one
output=              # folder of everything that is made; egs/packaged/exp/evaluation
mixtures=100         # of each set of dev talkers
pairs=60             # DailyTalk: pairs of turns, of one with the history and one of another dialogue
quick=false          # a few mixtures of each set, in a folder of their own: shows that everything works
model_options=       # more options of every run, in quotes: "--transcriber PATH --device cuda"

. "$(dirname "$0")/../../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../utils/path.sh"
suffix=
if $quick; then
    mixtures=4 pairs=4 suffix=_quick
fi
output=${output:-$here/../exp/evaluation$suffix}
speech=$data_dir/speech/utterances.jsonl
corpus=$data_dir/corpora/DailyTalk
sets=$output/sets

run_stage() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }

variant() { "$python" "$here/variants.py" "$@"; }

# simulated SET OPTION...: mixtures of dev talkers with an enrollment of 3 to 5 s -> SETS/SET/enrolled.jsonl
simulated() {
    local set=$sets/$1
    shift
    cse simulate utterances="$speech" split=dev min_history_turns=0 max_duration_s=12 limit="$mixtures" output="$set" "$@"
    variant enrolled "$set/mixtures.jsonl" "$set/enrolled.jsonl" --utterances "$speech"
}

# listed SET OPTION...: mixtures of two turns of DailyTalk, by the two speakers -> SETS/SET/mixtures.jsonl
listed() {
    local set=$sets/$1
    shift
    mkdir -p "$set"
    "$python" "$here/pairs.py" "$sets/dailytalk.jsonl" "$set/list.txt" --limit "$pairs" "$@"
    cse simulate utterances="$sets/dailytalk.jsonl" list="$set/list.txt" output="$set"
}

# measured RUN MANIFEST OPTION...: evaluates, unless that was done since the model was made
measured() {
    local result=$output/$1.json manifest=$sets/$2
    shift 2
    if [ -f "$result" ] && { [ ! -e "$model" ] || [ "$result" -nt "$model/config.json" ]; }; then
        return 0
    fi
    echo "-> $result"
    # shellcheck disable=SC2086  # words on purpose
    cse evaluate --manifest "$manifest" ${model:+--model "$model"} $model_options --json "$result" "$@"
}

if run_stage 0; then
    for needed in "$speech" "$corpus/data"; do
        if [ ! -e "$needed" ]; then
            echo "$0: no $needed; name the folder of the data with --data-dir" >&2
            exit 2
        fi
    done
    mkdir -p "$sets"
    echo "Stage 0: evaluation sets -> $sets"
    simulated two-talkers
    simulated two-talkers-8k sample_rate=8000
    simulated three-talkers talkers=3
    simulated absent absent_probability=0.5
    variant alone "$sets/two-talkers/enrolled.jsonl" "$sets/two-talkers/alone.jsonl"
    "$python" "$here/../../dailytalk/local/prepare.py" --corpus "$corpus" --output "$sets/dailytalk.jsonl" --engine serial
    listed dailytalk
    variant enrolled "$sets/dailytalk/mixtures.jsonl" "$sets/dailytalk/enrolled.jsonl" --utterances "$sets/dailytalk.jsonl"
    # two turns of one dialogue, after the history of the other one: nobody continues it
    listed strangers --within
    variant absent "$sets/strangers/mixtures.jsonl" "$sets/strangers/absent.jsonl" --utterances "$sets/dailytalk.jsonl"
    # wrong cues that point to nobody in the recording
    dailytalk=$sets/dailytalk/enrolled.jsonl
    variant stranger-voice "$dailytalk" "$sets/dailytalk/stranger-voice.jsonl" --utterances "$speech" --split dev
    variant stranger-chat "$dailytalk" "$sets/dailytalk/stranger-chat.jsonl" --data "$data_dir"
    variant joined "$sets/dailytalk/mixtures.jsonl" "$sets/strangers/absent.jsonl" "$sets/dailytalk-absent.jsonl"
fi

if run_stage 1; then
    echo "Stage 1: evaluation -> $output"
    by_text=(--cues history --history-turns 2)
    by_both=(--cues history,enrollment --history-turns 2)
    measured two-talkers two-talkers/enrolled.jsonl --cues enrollment --report "$output/reports/two-talkers"
    measured two-talkers-quick two-talkers/enrolled.jsonl --cues enrollment --quick
    measured two-talkers-8k two-talkers-8k/enrolled.jsonl --cues enrollment
    measured three-talkers three-talkers/enrolled.jsonl --cues enrollment
    measured one-talker two-talkers/alone.jsonl --cues enrollment
    measured absent-voice absent/enrolled.jsonl --cues enrollment
    measured history-oracle dailytalk/enrolled.jsonl "${by_text[@]}" --oracle-separation
    measured history dailytalk/enrolled.jsonl "${by_text[@]}" --report "$output/reports/history"
    measured enrollment dailytalk/enrolled.jsonl --cues enrollment
    measured both dailytalk/enrolled.jsonl "${by_both[@]}" --report "$output/reports/both"
    measured both-history-swapped dailytalk/enrolled.jsonl "${by_both[@]}" --swap history
    measured both-enrollment-swapped dailytalk/enrolled.jsonl "${by_both[@]}" --swap enrollment
    measured both-stranger-chat dailytalk/stranger-chat.jsonl "${by_both[@]}"
    measured both-stranger-voice dailytalk/stranger-voice.jsonl "${by_both[@]}"
    measured absent-text dailytalk-absent.jsonl "${by_text[@]}"
fi

if run_stage 2; then
    echo "Stage 2: table -> $output/results.md"
    made="egs/packaged/local/evaluate.sh --data-dir DATA --output OUTPUT --mixtures $mixtures --pairs $pairs --stop-stage 0"
    "$python" "$here/table.py" "$output" --sets "$made" --pretrained "$repository/cse/pretrained" --output "$output/results.md"
    {
        echo $'\nThe first row, by how far the two voices are apart in pitch:\n'
        "$python" "$here/separation_by_pitch.py" "$sets/two-talkers/enrolled.jsonl" "$output/two-talkers.json"
        echo $'\n```bash'
        echo "python egs/packaged/local/separation_by_pitch.py OUTPUT/sets/two-talkers/enrolled.jsonl OUTPUT/two-talkers.json"
        echo '```'
    } >> "$output/results.md"
fi
