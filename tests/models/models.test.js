// The same mission through two model servers of others, in both dialects: the proxy of LiteLLM, and aimock.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { LLMock } from "@copilotkit/aimock";

const binary = process.env.MANA_AI_BIN ?? new URL("../../target/debug/mana-ai", import.meta.url).pathname;
const key = "sk-0123456789abcdef0123456789abcdef";
const step = { summary: "Water", toolName: "create_task", params: { title: "Water the plants" }, rationale: "They are dry." };
const mission = {
  appId: "ai", table: "aiMissions", recordId: "m", userId: "u", op: "insert", createdAt: "2026-04-15T07:00:00Z", clientId: "test",
  data: { title: "Balcony", objective: "Keep it green", state: "active", nextRunAt: "2026-04-15T08:00:00Z", cadence: { kind: "manual" } },
};
const mock = new LLMock({ port: 0 });
let litellm, litellmUrl;

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

before(async () => {
  mock.on({ predicate: (request) => request.tools?.length > 0 }, {
    content: "The balcony is dry.",
    toolCalls: [{ name: "create_task", arguments: JSON.stringify({ ...step.params, rationale: step.rationale }) }],
  });
  mock.on({ predicate: (request) => !request.tools }, { content: JSON.stringify({ summary: "The balcony is dry.", steps: [step] }) });
  await mock.start();
  const port = await freePort();
  litellmUrl = `http://127.0.0.1:${port}`;
  const config = new URL("litellm.yaml", import.meta.url).pathname;
  litellm = spawn(process.env.LITELLM ?? "litellm", ["--config", config, "--host", "127.0.0.1", "--port", String(port)], {
    env: { ...process.env, LITELLM_MASTER_KEY: key }, stdio: "ignore",
  });
  for (let tries = 0; ; tries += 1) {
    assert.ok(tries < 240, "LiteLLM did not start");
    if (await fetch(`${litellmUrl}/health/liveliness`).then((answer) => answer.ok, () => false)) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
});

after(async () => {
  litellm?.kill();
  await mock.stop();
});

for (const server of ["LiteLLM", "aimock"]) {
  for (const dialect of ["tools", "json"]) {
    test(`${server} in the ${dialect} dialect`, () => {
      const dir = mkdtempSync(join(tmpdir(), "mana-ai-models-"));
      const env = {
        ...process.env, MANA_AI_DATA_DIR: dir, MANA_AI_PLANNER: dialect, MANA_LLM_MODEL: `${dialect}-model`, MANA_LLM_API_KEY: key,
        MANA_LLM_URL: server === "LiteLLM" ? litellmUrl : mock.url,
      };
      const mana = (args, input) => execFileSync(binary, args, { env, input, encoding: "utf8" });
      mana(["import", "-"], JSON.stringify(mission));
      // The servers of this test run in this process, so the program must not block it.
      return new Promise((resolve, reject) => {
        const child = spawn(binary, ["tick", "--json"], { env, stdio: ["ignore", "pipe", "inherit"] });
        let out = "";
        child.stdout.on("data", (chunk) => (out += chunk));
        child.on("close", () => {
          try {
            assert.equal(JSON.parse(out).plansWrittenBack, 1, out);
            const { record } = JSON.parse(mana(["missions", "--json"]));
            const [iteration] = record.iterations;
            assert.equal(iteration.summary, "The balcony is dry.");
            assert.deepEqual(iteration.plan.map(({ intent, rationale }) => ({ ...intent, rationale })), [
              { kind: "toolCall", toolName: step.toolName, params: step.params, rationale: step.rationale },
            ]);
            rmSync(dir, { recursive: true });
            resolve();
          } catch (error) {
            reject(error);
          }
        });
      });
    });
  }
}
