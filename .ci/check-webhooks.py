"""An endpoint that takes only what the library of Standard Webhooks verifies; the program calls it for an approved step."""
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
taken, refused = [], []


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            taken.append(Webhook(SECRET).verify(body, dict(self.headers)))
            status, answer = 200, b"Watered"
        except WebhookVerificationError as error:
            refused.append(str(error))
            status, answer = 422, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=endpoint.serve_forever, daemon=True).start()


def approved(secret):
    """The step of a plan after its approval, with this secret on the side of the program."""
    with tempfile.TemporaryDirectory() as directory:
        tools = pathlib.Path(directory, "tools.json")
        webhook = {"url": f"http://127.0.0.1:{endpoint.server_port}/water", "secretEnv": "GARDEN_SECRET"}
        tools.write_text(json.dumps([{
            "name": "water_plants", "module": "garden", "description": "Water the plants.", "parameters": [],
            "execute": {"webhook": webhook},
        }]))
        step = {"id": "it-0", "summary": "Water", "rationale": "Ä dry week – 🌱", "status": "staged",
                "intent": {"kind": "toolCall", "toolName": "water_plants", "params": {}}}
        mission = {"appId": "ai", "table": "aiMissions", "recordId": "m", "userId": "me", "op": "insert", "clientId": "test",
                   "createdAt": "2026-04-15T07:00:00Z",
                   "data": {"title": "Garden", "state": "active", "cadence": {"kind": "manual"}, "iterations": [
                       {"id": "it", "overallStatus": "awaiting-review", "source": "server", "plan": [step]}]}}
        env = {**os.environ, "MANA_AI_DATA_DIR": f"{directory}/data", "MANA_AI_TOOLS": str(tools), "GARDEN_SECRET": secret}
        run = lambda *args, **more: subprocess.run([sys.argv[1], *args], env=env, check=True, capture_output=True, text=True, **more)
        run("import", "-", input=json.dumps(mission))
        return json.loads(run("approve", "it-0", "--user", "me", "--json").stdout)


right = approved(SECRET)
assert right["status"] == "approved" and not refused, (right, refused)
assert taken[0]["tool"] == "water_plants" and taken[0]["rationale"] == "Ä dry week – 🌱", taken
wrong = approved("whsec_" + "A" * 32)
assert wrong["status"] == "failed" and len(taken) == 1 and refused, (wrong, taken)
print("ok: a call is taken with the right secret, and refused with another one")
