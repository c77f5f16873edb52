import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { enable } from "#src/installer/telemetry-settings.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, ClaudeRig, endless, endlessTool, kill } from "#harness/claude/claude-rig.ts";

const token = "a-token-of-the-tests-0123456789-abcdef";

/** The telemetry is on, as `shim init --telemetry` leaves it. */
async function aRigWithTelemetry(): Promise<ClaudeRig> {
  const rig = new ClaudeRig();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  mkdirSync(join(rig.home, ".claude"), { recursive: true });
  mkdirSync(rig.paths.home, { recursive: true });
  writeFileSync(join(rig.home, ".claude", "settings.json"), enable("{}", { port, token }));
  writeFileSync(rig.paths.config, JSON.stringify({ telemetry: { port, token } }));
  return rig;
}

it("[OB22] [OB23] the real client's requests count once, with their exact cost, while it works", async () => {
  const rig = await aRigWithTelemetry();
  const usage = { input_tokens: 1_000, output_tokens: 20 };
  const first = { ...bash("sleep 6"), usage };
  const chat = await rig.print("work", { steps: [first, { ...bash("echo two"), usage }, endless] });
  await endlessTool(chat.claude);
  const store = new Store({ path: rig.paths.database, driver: openNodeSqlite, now: Date.now });
  const rows = () =>
    store.read(
      (sql) =>
        sql.all("SELECT input, output, cost_micros AS cost FROM usage_messages WHERE cost_micros > 0 ORDER BY at"),
      [],
    );
  await untilFound(() => rows().length >= 2, "the telemetry of two requests");
  await kill(chat);
  const counted = rows();
  const [row] = store.read((sql) => sql.all("SELECT sum(cost_micros) AS cost FROM usage_costs"), []);
  store.close();
  expect(counted[0]).toMatchObject({ input: 1_000, output: 20, cost: 4_400 });
  expect(row).toEqual({ cost: 4_400 * counted.length });
});
