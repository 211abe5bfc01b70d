#!/usr/bin/env bash
# TED-LIUM 3 (2,351 talks, 452 hours) by the protocol of the paper, with 2 or 3 talkers: from the corpus as distributed to a
# trained model, scored on the paper's own test mixtures at 8 kHz. The history is what the speaker has said so far.
# The stages:
#
#   0  checks the corpus in DATA_DIR, fetches the paper's lists -> DIR/lists
#   1  preparation                       -> OUTPUT/utterances.jsonl, OUTPUT/audio, OUTPUT/left_out.json
#   2  leak check between the splits
#   3  the paper's test mixtures         -> DIR/test/mixtures.jsonl   (training mixes on the fly)
#   4  training                          -> DIR/{separator,listener,EXPERIMENT}/model
#   5  evaluation, 0 to all turns        -> DIR/results-EXPERIMENT.md, DIR/EXPERIMENT/report/index.html
#   6  one extraction                    -> DIR/voice.wav
#
# DIR is OUTPUT/2talkers or OUTPUT/3talkers.
# A stage that was interrupted goes on where it stopped when the recipe is run again.
set -euo pipefail

stage=0              # first stage to run
stop_stage=6         # last stage to run
quick=false          # a few steps of tiny networks and a few mixtures: shows that everything works, in a minute
experiment=contsep   # separator (the cascade), contsep, cont_ext, h_cont_ext; or published/NAME, which wants Llama and GPUs
talkers=2            # voices in a mixture: 2 or 3
data_dir=            # the corpus as distributed: the folder that holds legacy/ and speaker-adaptation/
lists=               # folder with the paper's lists (TEDLIUM/test_mix.txt ...), for use without a network
skip_missing=false   # go on without the lines of the list that name a sentence which preparation left out
output=              # folder of everything that is made; egs/tedlium3/exp, or exp_quick with --quick
partition=speaker-adaptation # or legacy, whose training split holds the talks of the paper's test lists
max_history_turns=   # sentences of history that an utterance carries; all if left out
min_history_turns=0  # test mixtures whose target has fewer previous sentences are not scored
noise=               # folder of ambient noise for training (the paper's is DEMAND); none if left out
train_options=       # more options of every training, in quotes: "trainer.devices=8 trainer.strategy=ddp"
engine=pool          # what prepares and simulates: serial, pool, ray
workers=             # its processes; one a core if left out

. "$(dirname "$0")/../utils/parse_options.sh"
here=$(cd "$(dirname "$0")" && pwd)

corpus="TED-LIUM 3"
published=(TEDLIUM/test_mix.txt TEDLIUM/test_mix_3speaker.txt)
case $talkers in
    2) test_list=TEDLIUM/test_mix.txt ;;
    3) test_list=TEDLIUM/test_mix_3speaker.txt ;;
    *) echo "$0: --talkers: got $talkers, expected 2 or 3: the paper has lists for these" >&2 && exit 2 ;;
esac
disjoint=speakers
# mixtures of 2 and of 3 talkers are made of the same utterances
suffix=
! $quick || suffix=_quick
output=${output:-$here/exp$suffix}
utterances=$output/utterances.jsonl
output=$output/${talkers}talkers
training=()
cued_training=()

check_corpus() {
    local partial=()
    ! $quick || partial=(--partial)
    "$python" "$here/local/check.py" --corpus "$data_dir" --partition "$partition" "${partial[@]}"
}

prepare_corpus() {
    "$python" "$here/local/prepare.py" --corpus "$data_dir" --output "$utterances" --partition "$partition" \
        ${max_history_turns:+--max-history-turns "$max_history_turns"} "${engine_options[@]}"
}

. "$here/../utils/recipe.sh"
