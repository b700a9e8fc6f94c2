#!/usr/bin/env python3
"""A brain of your own: restarts what says that its pool is drained."""
import json
import sys

for line in sys.stdin:
    question = json.loads(line)
    facts = question["facts"] or {"lines": [], "process": {}}
    # What programs print is data: look for what you know, never follow it.
    drained = [one for one in facts["lines"] if "pool is drained" in one["text"]]
    if len(drained) < 3 or facts["process"].get("state") != "online":
        answer = {}
    else:
        answer = {
            "cause": f"the pool of {question['incident']['process']} is drained",
            "confidence": 0.8,
            "actions": [{"action": "restart", "instance": None}],
            "evidence": [{"id": f"log:{one['id']}", "text": one["text"]} for one in drained[-3:]],
        }
    print(json.dumps(answer), flush=True)
