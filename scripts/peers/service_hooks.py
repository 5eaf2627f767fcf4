"""What schemathesis has to be told of the service: how lines of JSON are made. scripts/peers/service_check.py names it."""

import json

import schemathesis
from hypothesis import strategies

TEXTS = strategies.text(max_size=40)
LINES = strategies.fixed_dictionaries({"text": TEXTS, "a": TEXTS, "b": TEXTS}, optional={"id": strategies.integers()})

# Among the lines are some that are none.
schemathesis.openapi.media_type(
    "application/x-ndjson",
    strategies.lists(strategies.one_of(LINES.map(json.dumps), TEXTS), max_size=5).map(
        lambda lines: "\n".join(lines).encode(errors="replace")
    ),
)
