import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { TelemetrySettings } from "#src/contract/config.ts";
import { receive as listen } from "#src/local-mcp/telemetry/telemetry-input.ts";
import * as meta from "#src/store/meta.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { freePort } from "#harness/edge/free-port.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";

interface Line {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly fix: string | null;
}

async function doctor(home: CliHome): Promise<Line> {
  const { checks } = await home.json("doctor");
  const found = (checks as Line[]).find(({ name }) => name === "telemetry");
  if (!found) throw new Error("doctor says nothing of the telemetry");
  return found;
}

/** A machine with Claude Code; `env` is in its settings. */
function aHome(env: Record<string, string> = {}): CliHome {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  writeFileSync(settingsOf(home), JSON.stringify({ env }));
  return home;
}

function settingsOf(home: CliHome): string {
  return join(home.folder, ".claude", "settings.json");
}

/** A living chat that works now. */
function work(home: CliHome): void {
  const owner = { boot: "boot-1", pid: 77, start: "s77" };
  home.alive.add(77);
  const id = "30487890-04b4-4fe0-bbd5-6aa531354563";
  const sighting = { id, client: "claude-code", isAlive: true, origin: "startup", owner } as const;
  home.runtime.store.write((sql) => {
    sessions.recordSighting(sql, home.now, { ...sighting, project: home.project, cwd: home.project });
    sessions.update(sql, id, { workedAt: home.now });
  });
}

function receive(home: CliHome, at: number): void {
  home.runtime.store.write((sql) => meta.write(sql, "telemetry_received_at", String(at)));
}

it("[OB28] off: doctor says so, and where the client's own telemetry goes elsewhere it names the settings", async () => {
  const home = aHome();
  expect(await doctor(home)).toMatchObject({ state: "ok", text: expect.stringContaining("off; `shim init") as string });
  const sending = aHome({ OTEL_LOGS_EXPORTER: "otlp" });
  expect(await doctor(sending)).toMatchObject({
    state: "ok",
    text: expect.stringContaining("OTEL_LOGS_EXPORTER") as string,
  });
  const ran = await sending.shim("init --yes --telemetry");
  expect([ran.code, ran.out.includes("left unchanged: OTEL_LOGS_EXPORTER")]).toEqual([0, true]);
  expect((await sending.json("config"))["config"]).toMatchObject({ telemetry: null });
});

it("[OB28] on: doctor says when the last event came, or that nothing comes while a chat works", async () => {
  const home = aHome();
  await home.shim("init --yes --telemetry 24999");
  expect(await doctor(home)).toMatchObject({ state: "ok", text: "on, port 24999: nothing yet" });
  work(home);
  expect(await doctor(home)).toMatchObject({ state: "warn", text: expect.stringContaining("nothing yet") as string });
  receive(home, home.now - 30_000);
  expect(await doctor(home)).toMatchObject({ state: "ok", text: "on, port 24999: last event 30 s ago" });
  receive(home, home.now - 120_000);
  expect(await doctor(home)).toMatchObject({
    state: "warn",
    fix: expect.stringContaining("Start new chats") as string,
  });
});

it("[OB28] a collector may send instead of the client: the receiver is on, and the settings stay", async () => {
  const home = aHome({ OTEL_LOGS_EXPORTER: "otlp" });
  const ran = await home.shim("config set telemetry", JSON.stringify({ port: 24_999, token: "t".repeat(32) }));
  expect([ran.code, ran.out.includes("ttt")]).toEqual([0, false]);
  receive(home, home.now - 5_000);
  expect(await doctor(home)).toMatchObject({ state: "ok", text: "on, port 24999: last event 5 s ago" });
});

it("[OB28] doctor finds settings that no longer send, and a program that has the port", async () => {
  const home = aHome();
  const port = await freePort();
  const server = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  await home.shim(`init --yes --telemetry ${port}`);
  expect(await doctor(home)).toMatchObject({
    state: "warn",
    text: expect.stringContaining("another program") as string,
  });
  server.close();
  await once(server, "close");
  const { token } = (JSON.parse(readFileSync(home.paths.config, "utf8")) as { telemetry: TelemetrySettings }).telemetry;
  const own = await listen({ port, token }, () => true);
  expect(await doctor(home)).toMatchObject({ state: "ok", text: `on, port ${port}: nothing yet` });
  await own?.close();
  writeFileSync(settingsOf(home), "{}");
  expect(await doctor(home)).toMatchObject({
    state: "warn",
    text: expect.stringContaining("no longer send") as string,
  });
  await home.shim("init --yes --no-telemetry");
  expect(await doctor(home)).toMatchObject({ state: "ok", text: expect.stringContaining("off") as string });
});

it("[OB26] the token is in the settings and in config.json, and is never printed", async () => {
  const home = aHome();
  const ran = await home.shim("init --yes --telemetry");
  const [, token = ""] = /Bearer ([\w-]{32,})/.exec(readFileSync(settingsOf(home), "utf8")) ?? [];
  expect(readFileSync(home.paths.config, "utf8")).toContain(token);
  const all = [
    ran,
    await home.shim("config"),
    await home.shim("config get telemetry"),
    await home.shim("config --json"),
  ];
  expect(all.map(({ code, out, err }) => [code, `${out}${err}`.includes(token)])).toEqual(all.map(() => [0, false]));
  await home.misuses("init", [
    [["--telemetry", "80"], "1024 to 65535"],
    [["--telemetry", "port"], "1024 to 65535"],
  ]);
});
