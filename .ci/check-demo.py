"""Reads the log after the demo: who planned what, and that nobody else did."""

import json
import sys

EXPECTED = {
    ("mission-spending", "agent-penny", "Penny"),
    ("mission-garden", "legacy:ai-default", "Mana"),
    ("mission-reading", "agent-tess", "Tess"),
    ("mission-sleep", "agent-nox", "Nox"),
}

rows = [json.loads(line) for line in sys.stdin]
plans = [row for row in rows if row["origin"] == "agent"]
found = {(row["recordId"], row["actor"]["principalId"], row["actor"]["displayName"]) for row in plans}
assert found == EXPECTED, f"expected plans {sorted(EXPECTED)}, found {sorted(found)}"
with_plan = set()
for row in plans:
    iteration = row["data"]["iterations"][-1]
    assert row["clientId"] == "mana-ai-runner" and row["actor"]["kind"] == "ai", row
    # The mission of every minute may run a second time, and then finds nothing to do.
    idle = row["recordId"] in with_plan and (iteration["overallStatus"], iteration["plan"]) == ("approved", [])
    assert idle or (iteration["overallStatus"] == "awaiting-review" and iteration["plan"]), iteration
    with_plan.add(row["recordId"])
    assert row["actor"]["iterationId"] == iteration["id"], row
print(f"the demo wrote {len(plans)} plans for {len(found)} missions, each under the name of its agent")
