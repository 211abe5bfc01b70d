#!/usr/bin/env bash
# DailyTalk (two people read 2,541 everyday dialogues) by the protocol of the paper: from the corpus as distributed to a
# trained model, scored on the paper's own test mixtures at 8 kHz. The stages:
#
#   0  checks the corpus in DATA_DIR, fetches the paper's lists -> OUTPUT/lists
#   1  preparation                       -> OUTPUT/utterances.jsonl
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
data_dir=            # the corpus as distributed: the folder that holds data/
lists=               # folder with the paper's lists (DailyTalk/test_mix.txt ...), for use without a network
skip_missing=false   # go on without the lines of the list that name a turn which preparation left out
output=              # folder of everything that is made; egs/dailytalk/exp, or exp_quick with --quick
noise=               # folder of ambient noise for training (the paper's is DEMAND); none if left out
train_options=       # more options of every training, in quotes: "trainer.devices=8 trainer.strategy=ddp"
engine=pool          # what prepares and simulates: serial, pool, ray
workers=             # its processes; one a core if left out

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)

corpus=DailyTalk
published=(DailyTalk/test_mix.txt DailyTalk/test_dialog.txt DailyTalk/val_dialog.txt)
test_list=DailyTalk/test_mix.txt
talkers=2
min_history_turns=5
disjoint=dialogues # the same two people speak everywhere
training=()
# whoever is not in a mixture would have to be a third person
cued_training=(data.mixing.absent_probability=0)

check_corpus() {
    local partial=()
    ! $quick || partial=(--partial)
    "$python" "$here/local/check.py" --corpus "$data_dir" "${partial[@]}"
}

prepare_corpus() {
    "$python" "$here/local/prepare.py" --corpus "$data_dir" --lists "$lists_dir/DailyTalk" --output "$utterances" \
        "${engine_options[@]}"
}

. "$here/../utils/recipe.sh"
