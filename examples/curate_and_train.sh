#!/usr/bin/env bash
# Curate image-text shards, train a small model on them, export it and evaluate it.
#
#   examples/curate_and_train.sh                     # renders a small world of icons first; minutes on two cores
#   examples/curate_and_train.sh my/raw my/test      # your tars of KEY.jpg + KEY.txt, and others held out for the test
#
# Variables: OUTPUT (folder), PAIRS (of the rendered world), CURATION (recipe; for your tars loupe_paper, which wants both
# sides above 200 px), STEPS (of training), and PRETRAIN_OPTIONS, which replaces --local:
# PRETRAIN_OPTIONS="--set workers.count=2" trains on two Ray Train workers.
# Started again, it continues where it stopped. Another recipe or another STEPS needs another OUTPUT.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:$PWD/.venv/bin"

OUTPUT=${OUTPUT:-build/example}
STEPS=${STEPS:-400}
mkdir -p "$OUTPUT"

# 1. Raw shards: tars as img2dataset writes them. Both recipes are shipped ones; a YAML file of your own works as well.
if [ $# -gt 0 ]; then
    RAW=$1 TEST=${2:?give held-out shards as the second argument} CURATION=${CURATION:-loupe_paper}
else
    RAW=$OUTPUT/world/train TEST=$OUTPUT/world/test CURATION=icon_world
    [ -e "$OUTPUT/world/world.json" ] || loupe world --output "$OUTPUT/world" --pairs "${PAIRS:-4000}" \
        --image-size 112 --names 12 --single-share 0.6 --test-pairs 256
    mkdir -p "$OUTPUT/pictures"
    tar -xf "$TEST/00000.tar" -C "$OUTPUT/pictures" --wildcards '*-0000000[1-6].jpg'
fi

# 2. Keep the pairs that pass the filters; curated/report.html shows what was dropped and why.
loupe curate "$CURATION" --input "$RAW" --output "$OUTPUT/curated"

# 3. Train. Phrase attributions teach the regions once the two towers know something: from 70% of the steps on.
loupe pretrain icon_world_attribution --data "$OUTPUT/curated" --output "$OUTPUT/run" ${PRETRAIN_OPTIONS:---local} \
    --set schedule.steps="$STEPS" --set objectives.phrase_attribution.first_step=$((STEPS * 7 / 10))

# 4. A folder that transformers opens without any code of this project.
loupe export "$OUTPUT/run" --output "$OUTPUT/export"

# 5. Zero-shot scores on pairs that were not trained on, and one page about all of it.
loupe evaluate "$OUTPUT/export" --task retrieval --data "$TEST" --output "$OUTPUT/retrieval"
EVALUATIONS=(--evaluation "$OUTPUT/retrieval")
if [ $# -eq 0 ]; then # grounding needs boxes to compare with, which the rendered world has
    loupe evaluate "$OUTPUT/export" --task grounding --data "$TEST" --output "$OUTPUT/grounding" --gallery 64 \
        --set proposals=regions --set embedding=dropped
    EVALUATIONS+=(--evaluation "$OUTPUT/grounding")
fi
loupe report "$OUTPUT/run" "${EVALUATIONS[@]}"
PICTURES=$([ $# -gt 0 ] && echo PICTURES || echo "$OUTPUT/pictures/*.jpg")
echo "Open $OUTPUT/run/report.html; then try:"
echo ".venv/bin/python examples/detect_and_ground.py --export $OUTPUT/export $PICTURES"
