"""What schemathesis has to be told of lines of JSON. scripts/peers/service_check.py names this file."""

import json

import schemathesis

LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def lines(_, value):
    """What it has made up, which is hardly ever a line that is asked for, and one that is."""
    asked = {"id": 1, "text": repr(value), "a": repr(value), "b": "One text."}
    return f"{value}\n{json.dumps(asked)}".encode(errors="replace")


@schemathesis.hook
def filter_case(_, case):
    """A bad line is answered in its place, so no stream of them is refused as a whole."""
    return case.media_type != LINES or isinstance(case.body, str)
