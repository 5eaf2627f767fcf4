#!/usr/bin/env bash
# The page in Debian's Chromium, on the CPU and on WebGPU's software adapter, against the command line: builds the page,
# scores essays with the program, runs web/tests. scripts/web_test.sh [PLAYWRIGHT ARGUMENT]...
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

[ -n "${NO_BUILD:-}" ] || scripts/web.sh
CHROMIUM=${CHROMIUM:-$(command -v chromium || true)}
if [ -z "$CHROMIUM" ]; then
    as=""
    [ "$(id -u)" = 0 ] || as=sudo
    $as apt-get update -qq
    $as apt-get install -y -qq --no-install-recommends chromium >&2
    CHROMIUM=/usr/bin/chromium
fi
export CHROMIUM

# As the tests build it: selecting one package would choose other features and compile everything again.
[ -n "${NO_BUILD:-}" ] || cargo test --workspace --locked --no-run --quiet
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
