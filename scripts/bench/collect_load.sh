#!/usr/bin/env bash
# The collection server under load on loopback: 50 judges at once, 20,000 judgements, `kill -9` five times. Fails where a
# judgement is lost, doubled or changed; prints judgements per second and latencies.
. "$(dirname "$0")/../common.sh"
exec cargo test --locked -p pair2score-cli --test collect -- --ignored --nocapture fifty_judges
