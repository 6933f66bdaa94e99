"""Asks a Prometheus that scrapes the demo whether every alert and every panel of the dashboard can be evaluated."""
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

base = sys.argv[1]
root = pathlib.Path(__file__).parent.parent


def get(path, **query):
    try:
        with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{path} {query}: {error.read().decode()}")


def series(expression):
    return get("query", query=expression)["data"]["result"]


def wait(what, check):
    for _ in range(2400):
        try:
            if check():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    sys.exit(f"waited in vain for {what}")


wait("plans of the demo in Prometheus", lambda: any(float(s["value"][1]) > 0 for s in series("mana_ai_plans_written_back_total")))
wait("the rules to be evaluated", lambda: all(r["health"] != "unknown" for g in get("rules")["data"]["groups"] for r in g["rules"]))

rules = [rule for group in get("rules")["data"]["groups"] for rule in group["rules"]]
for rule in rules:
    assert rule["health"] == "ok", rule
firing = [rule["name"] for rule in rules if rule["state"] == "firing" and rule["labels"]["severity"] == "critical"]
# The demo links a note outside of its grant, which a scrape may see by now.
assert set(firing) <= {"ManaAiScopeViolation"}, f"a demo that works sets off {firing}"

dashboard = json.loads((root / "deploy/grafana/mana-ai.json").read_text())
panels = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
# What does not happen in the demo has no series; everything else has to show something, once there are two scrapes.
UNUSUAL = {"Encrypted records not read", "What goes wrong"}
empty = []


def shown():
    global empty
    empty = [title for title, expression in panels if not series(expression.replace("$instance", ".*"))]
    return set(empty) <= UNUSUAL


wait("data in every panel", shown)

known = set()
for line in (root / "src/snapshots/mana_ai__metrics__tests__the_names_of_all_metrics.snap").read_text().splitlines():
    if match := re.fullmatch(r"(mana_ai_\w+) (counter|gauge|histogram)", line):
        known |= {match[1], f"{match[1]}_bucket"} if match[2] == "histogram" else {match[1]}
assert len(known) > 40
expressions = [expression for _, expression in panels] + [rule["query"] for rule in rules]
unknown = {name for expression in expressions for name in re.findall(r"\bmana_ai_\w+", expression)} - known
assert not unknown, f"no such metrics: {unknown}"
print(f"{len(rules)} alerts and {len(panels)} queries of the dashboard, {len(panels) - len(empty)} of them with data")
