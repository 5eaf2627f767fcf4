#!/usr/bin/env bash
# The page in Chromium, on the CPU and on WebGPU's software adapter, against the command line: builds the page, scores
# essays with the program, runs web/tests. scripts/tests/web.sh [PLAYWRIGHT ARGUMENT]...
# NO_BUILD=1 takes the page and the program as they are; CHROMIUM names a browser.
. "$(dirname "$0")/../common.sh"

CHROMIUM=$(command -v "${CHROMIUM:-chromium}") || fail "chromium is missing; run scripts/setup.sh, or name one in CHROMIUM"
export CHROMIUM
if [ -z "${NO_BUILD:-}" ]; then
    scripts/web.sh
    # As the tests build it: selecting one package would choose other features and compile everything again.
    cargo test --workspace --locked --no-run --quiet
fi
export PAIR2SCORE=$CARGO_TARGET_DIR/debug/pair2score
export PAIR2SCORE_SITE=$PWD/web/dist PAIR2SCORE_ESSAYS=$PWD/data/demo/essays.csv
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PAIR2SCORE_SCORES=$scratch/scores.csv
head -n 51 "$PAIR2SCORE_ESSAYS" >"$scratch/essays.csv"
"$PAIR2SCORE" score --scorer export/bundle --input "$scratch/essays.csv" --output "$PAIR2SCORE_SCORES"
export PAIR2SCORE_Q8_SITE=$scratch/q8 PAIR2SCORE_Q8_SCORES=$scratch/q8.csv
"$PAIR2SCORE" export --scorer export/bundle --format web --quantize q8 --page web/dist --output "$PAIR2SCORE_Q8_SITE"
"$PAIR2SCORE" score --scorer "$PAIR2SCORE_Q8_SITE" --input "$scratch/essays.csv" --output "$PAIR2SCORE_Q8_SCORES"
cd web
npx playwright test "$@"
