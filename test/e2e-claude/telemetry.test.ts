import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClaudeRig, bash } from "#harness/claude/claude-rig.ts";
import { freePort } from "#harness/edge/free-port.ts";
import { enable } from "#src/installer/client-entries.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { expect, it, onTestFinished } from "vitest";

const token = "a-token-of-the-tests-0123456789-abcdef";

/** The telemetry is on, as `shim init --telemetry` leaves it. */
async function aRigWithTelemetry(): Promise<{ rig: ClaudeRig; rows: (query: string) => unknown[] }> {
  const rig = new ClaudeRig();
  const port = await freePort();
  mkdirSync(join(rig.home, ".claude"));
  mkdirSync(rig.paths.home);
  const settings = {};
  enable(settings, { port, token });
  writeFileSync(join(rig.home, ".claude", "settings.json"), JSON.stringify(settings));
  writeFileSync(rig.paths.config, JSON.stringify({ telemetry: { port, token } }));
  const store = new Store({ path: rig.paths.database, driver: openNodeSqlite, now: Date.now });
  onTestFinished(() => store.close());
  return { rig, rows: (query) => store.read((sql) => sql.all(query), []) };
}

it("[OB22] [OB25] each request of the real client counts once with its cost, from the first to the last @night", async () => {
  const { rig, rows } = await aRigWithTelemetry();
  const summary = { usage: { input_tokens: 7, cache_read_input_tokens: 500 } };
  await rig.printed("work", { steps: [bash("sleep 1"), bash("echo two"), { text: "Done.", ...summary }] });
  const counted = rows("SELECT input, output, cacheRead AS cached, costMicros AS cost FROM usage_messages ORDER BY at");
  const same = { input: 1_000, output: 20, cached: 0, cost: 4_400 };
  expect(counted).toMatchObject([
    same,
    same,
    { input: 7, output: 20, cached: 500, cost: expect.any(Number) as number },
  ]);
  const [sum] = rows("SELECT (SELECT sum(costMicros) FROM usage_messages) - sum(costMicros) AS rest FROM usage_costs");
  expect(sum).toEqual({ rest: 0 });
});

it("[OB24] requests that the real client has given up are failed tries @night", async () => {
  const { rig } = await aRigWithTelemetry();
  const error = { status: 400, type: "invalid_request_error", message: "no" };
  await rig.over(await rig.print("work", { steps: [bash("sleep 1"), { error, times: 20 }] }));
  expect(rig.sessions()[0]?.readings.apiErrors?.value).toBeGreaterThanOrEqual(1);
});

it("[OB24] without telemetry the tries of the real client that failed are counted from its transcript @night", async () => {
  const rig = new ClaudeRig();
  const overloaded = { status: 529, type: "overloaded_error", message: "no" };
  const steps = [bash("sleep 1"), { error: overloaded, times: 20 }];
  await rig.over(await rig.print("work", { steps, env: { CLAUDE_CODE_MAX_RETRIES: "2" } }));
  const { apiErrors } = rig.sessions()[0]?.readings ?? {};
  expect(apiErrors).toMatchObject({ source: "estimated" });
  // Of three: the client may write its last line after its last event, and the next event would read it.
  expect([2, 3]).toContain(apiErrors?.value);
});
