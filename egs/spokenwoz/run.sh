#!/usr/bin/env bash
# SpokenWOZ (5,700 telephone dialogues of a user and a system, 249 hours) by the protocol of the paper: from the corpus as
# distributed to a trained model, scored on the paper's own test mixtures at 8 kHz. The stages:
#
#   0  checks the corpus in DATA_DIR, fetches the paper's lists -> OUTPUT/lists
#   1  preparation                       -> OUTPUT/utterances.jsonl, OUTPUT/audio, OUTPUT/left_out.json
#   2  leak check between the splits
#   3  the paper's test mixtures         -> OUTPUT/test/mixtures.jsonl   (training mixes on the fly)
#   4  training                          -> OUTPUT/{separator,listener,EXPERIMENT}/model
#   5  evaluation, 0 to all turns        -> OUTPUT/results-EXPERIMENT.md, OUTPUT/EXPERIMENT/report/index.html
#   6  one extraction                    -> OUTPUT/voice.wav
#
# A stage that was interrupted goes on where it stopped when the recipe is run again.
set -euo pipefail

stage=0              # first stage to run
stop_stage=6         # last stage to run
quick=false          # a few steps of tiny networks and a few mixtures: shows that everything works, in a minute
experiment=contsep   # separator (the cascade), contsep, cont_ext, h_cont_ext; or published/NAME, which wants Llama and GPUs
data_dir=            # the corpus as distributed: the folder that holds text_5700_* and audio_5700_*
lists=               # folder with the paper's lists (SpokenWoz/test_mix.txt), for use without a network
skip_missing=false   # go on without the lines of the list that name a turn which preparation left out
output=              # folder of everything that is made; egs/spokenwoz/exp, or exp_quick with --quick
channels=own         # audio of a turn: its speaker's channel, or mean: of both, as in the paper's preparation
max_history_turns=   # turns of history that an utterance carries; all if left out
noise=               # folder of ambient noise for training (the paper's is DEMAND); none if left out
train_options=       # more options of every training, in quotes: "trainer.devices=8 trainer.strategy=ddp"
engine=pool          # what prepares and simulates: serial, pool, ray
workers=             # its processes; one a core if left out

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)

corpus=SpokenWOZ
published=(SpokenWoz/test_mix.txt)
test_list=SpokenWoz/test_mix.txt
talkers=2
min_history_turns=10
disjoint=speakers
training=()
cued_training=()

check_corpus() {
    local partial=()
    ! $quick || partial=(--partial)
    "$python" "$here/local/check.py" --corpus "$data_dir" "${partial[@]}"
}

prepare_corpus() {
    "$python" "$here/local/prepare.py" --corpus "$data_dir" --output "$utterances" --channels "$channels" \
        ${max_history_turns:+--max-history-turns "$max_history_turns"} "${engine_options[@]}"
}

. "$here/../utils/recipe.sh"
