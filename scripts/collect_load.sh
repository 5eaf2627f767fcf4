#!/usr/bin/env bash
# The collection server under load on loopback: 50 judges at once, 20,000 judgements, `kill -9` five times. Fails where a
# judgement is lost, doubled or changed; prints judgements per second and latencies.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pair2score
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
exec cargo test --locked -p pair2score-cli --test collect -- --ignored --nocapture fifty_judges
