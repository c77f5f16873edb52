import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { version } from "#src/contract/version.ts";
import type { Io } from "#src/cli/io.ts";
import { edgeConfigPath } from "#src/coordinator-client/edge-config.ts";
import { teamCalls } from "#src/store/team-tables.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { RealServer } from "#harness/edge/real-server.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aCliHome, addSession, failed, holding, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { aChat, sync, twoCliHomes } from "#harness/machine/cli-machines.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-server.ts";

interface Line {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly fix: string | null;
}

const hour = 3_600_000;
const healthPath = "/v1/workspaces/team/health";

/** Lines by name, without the "workspace:" before it; the exit code is that of the worst. */
async function checksOf(home: CliHome, io: Partial<Io> = {}): Promise<Map<string, Line>> {
  const ran = await home.shimWith(io, "doctor --workspace --json");
  const { checks, isHealthy } = ran.json() as { checks: Line[]; isHealthy: boolean };
  expect([ran.code, isHealthy]).toEqual(checks.some(({ state }) => state === "fail") ? [1, false] : [0, true]);
  for (const line of checks) expect([line.name, line.state === "ok"]).toEqual([line.name, line.fix === null]);
  return new Map(checks.map((line) => [line.name.replace("workspace:", ""), line]));
}

/** A machine of a workspace on the real engine, whose host and Worker say what a test sets. */
async function aMember() {
  const server = await SyncServer.listen();
  const home = aCliHome();
  home.now = server.host.now();
  home.join(server.url, { token: tokenOf("m1") });
  const say = (health: Partial<OutputOf<"health">>): void => {
    server.fixed[healthPath] = { ...(server.fixed[healthPath] as object), ...health };
  };
  const sayOfWorker = (said: object): void => {
    server.fixed["/health"] = { version: "d1", shim: version, ...said };
  };
  sayOfWorker({ now: home.now });
  return { server, home, say, sayOfWorker };
}

it("doctor --workspace says size, rows, alarm, oldest task, sync, clock and versions, each with its figure @night", async () => {
  const runtime = await EdgeRuntime.open();
  const home = aCliHome();
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  home.join(runtime.url, { workspace: runtime.workspace, token });
  home.now = Date.now();
  await runtime.call("chats.register", { ...aChat("a", "m-a"), metadata: { version } });
  await runtime.call("tasks.submit", { tasks: [{ type: "build" }] });
  const checks = await checksOf(home, { now: Date.now });
  const text = (name: string): string | undefined => checks.get(name)?.text;
  expect(text("coordinator")).toMatch(/^http:.* answers in \d+ ms: SHIM \d.*; this machine has SHIM /);
  expect(text("clock")).toMatch(/^this machine's clock is .*(ahead|behind)/);
  expect(text("storage")).toMatch(/^0\.\d MB of 10,000 MB \(an object of Cloudflare holds 10,000 MB\)/);
  expect(text("rows")).toMatch(/^[1-9]\d* rows written this month .* 0\.00 dollars beyond the plan's 5/);
  expect(text("alarm")).toBe("on time, 0 rows due");
  expect(text("tasks")).toMatch(/^1 task queued, the oldest ready for \d+ s$/);
  expect(text("sync")).toMatch(/^0 changes of sessions and 0 calls of chats of this machine wait/);
  expect(text("versions")).toBe(`machines with live chats: m-a ${version}`);
  await runtime.call("settings.set", { settings: { maxStorageBytes: 100_000 } });
  expect(await home.shim("doctor --workspace")).toMatchObject({ code: 1, out: holding("growth is refused") });
});

it("of a machine that has joined no workspace it checks its own coordinator", async () => {
  const home = aCliHome();
  await home.json("task submit", "build");
  home.now += 2 * hour;
  const checks = await checksOf(home);
  expect(checks.get("coordinator")?.text).toBe(`this machine's own, SHIM ${version}`);
  expect(checks.get("tasks")).toMatchObject({ state: "fail", text: "1 task queued, the oldest ready for 2 h" });
  expect([...checks.keys()]).not.toContain("sync");
});

it("a value beyond its bound fails with what to do, and one at its bound does not", async () => {
  const { server, home, say } = await aMember();
  const storage = { bytes: 7e9, limitBytes: 10e9, state: "normal" } as const;
  say({ storage, alarmInMs: -60_000, overdueRows: 3 });
  given(await server.host.call("tasks.submit", { tasks: [{ type: "build" }] }));
  const call = { session: "s1", workspace: "w", name: "tasks.ack", input: {}, at: home.now } as const;
  home.runtime.store.write((sql) => teamCalls.insert(sql, call));
  const wait = (ms: number): void => {
    server.host.wait(ms);
    home.now += ms;
  };
  const states = async (): Promise<(string | undefined)[]> => {
    const checks = await checksOf(home);
    return ["storage", "alarm", "tasks", "sync"].map((name) => checks.get(name)?.state);
  };
  wait(hour);
  expect(await states()).toEqual(["ok", "ok", "ok", "warn"]);
  wait(1_000);
  say({ storage: { ...storage, bytes: 7.1e9 }, alarmInMs: -61_000 });
  expect(await states()).toEqual(["fail", "fail", "fail", "fail"]);
  expect(await home.shim("doctor --workspace")).toMatchObject({
    code: 1,
    out: holding(
      "fail  workspace:storage: 7,100 MB of 10,000 MB",
      "fail  workspace:alarm: 61 s late, 3 rows due\n      fix: ",
      "fail  workspace:tasks: 1 task queued, the oldest ready for 60 min",
      "fail  workspace:sync: 0 changes of sessions and 1 call of chats of this machine wait, the oldest for 60 min",
    ),
  });
});

it("the cost of a month is an estimate from rows and storage beyond the plan", async () => {
  const { home, say } = await aMember();
  say({ rowsThisMonth: 72_000_000, storage: { bytes: 6e9, limitBytes: 10e9, state: "normal" } });
  // 22 million rows at a dollar a million, and 1 GB at 0.20 dollars.
  expect((await checksOf(home)).get("rows")?.text).toEqual(
    holding(
      "72,000,000 rows written this month",
      "by an estimate, with its storage, 22.20 dollars beyond the plan's 5",
    ),
  );
});

it("of a coordinator that does not answer it says so, and what waits to be sent with the age of the oldest", async () => {
  const { server, here } = await twoCliHomes(() => undefined);
  await sync(here);
  server.isDown = true;
  addSession(here, { id: ids.dead });
  here.now += 2 * hour;
  const checks = await checksOf(here);
  expect([...checks.keys()]).toEqual(["workspace", "sync"]);
  const fix = holding(`See whether ${server.url} is the coordinator`);
  expect(checks.get("workspace")).toMatchObject({ state: "fail", text: holding(`${server.url} did not answer`), fix });
  expect(checks.get("sync")).toMatchObject({ state: "fail", text: holding("the oldest for 2 h") });
});

it("an address that cannot be used, a damaged file and a refused token are named with what to do", async () => {
  const home = aCliHome();
  home.join("http://example.com");
  expect((await checksOf(home)).get("workspace")?.text).toContain("plain http:// is only for this machine");
  writeFileSync(edgeConfigPath(home.paths.home), "{");
  expect((await checksOf(home)).get("workspace")).toMatchObject({ state: "fail", fix: holding("workspace leave") });
  expect(await home.shim("doctor --workspace --acknowledge")).toMatchObject(failed(2, "cannot be used with"));
  const server = await RealServer.listen();
  home.join(server.url);
  for (const [status, code] of [
    [401, "unauthenticated"],
    [403, "forbidden"],
  ] as const) {
    const error = { code, message: `no: ${code}`, retryable: false };
    server.answer = (_request, response) => void response.writeHead(status).end(JSON.stringify({ error }));
    const fix = holding("token create --machine m1`", `shim workspace join team --url ${server.url}`);
    expect((await checksOf(home)).get("workspace")).toMatchObject({ state: "fail", text: `no: ${code}`, fix });
  }
});

it("the clock's difference is bounded by the round trip, and fails only where it is certainly too large", async () => {
  const { home, sayOfWorker } = await aMember();
  const start = home.now;
  /** The Worker answers after half a second; this machine is so much ahead of its answer then. */
  const clockAt = async (ahead: number): Promise<Line | undefined> => {
    // The first reading is for what waits, the next two are before the question and after the answer.
    const passed = [0, 0, 500];
    sayOfWorker({ now: start + 500 - ahead });
    return (await checksOf(home, { now: () => start + (passed.shift() ?? 500) })).get("clock");
  };
  const text = "this machine's clock is at most 0.3 s ahead of the coordinator's, and at most 0.2 s behind";
  expect(await clockAt(300)).toMatchObject({ state: "ok", text });
  expect(await clockAt(5_500)).toMatchObject({ state: "ok", text: holding("is 5.0 to 5.5 s ahead") });
  expect(await clockAt(5_501)).toMatchObject({ state: "fail", fix: holding("NTP") });
  expect(await clockAt(-5_000)).toMatchObject({ state: "ok", text: holding("is 5.0 to 5.5 s behind") });
  expect(await clockAt(-5_001)).toMatchObject({ state: "fail" });
});

it("a version that differs from the coordinator's is a warning; one that is not stated is none", async () => {
  const { server, home, sayOfWorker } = await aMember();
  const join = async (chat: string, machine: string, metadata: Record<string, string>): Promise<void> => {
    given(await server.host.call("chats.register", { ...aChat(chat, machine), metadata }, { machine, isAdmin: false }));
  };
  await join("a", "desk", { version });
  await join("b", "laptop", { title: "x" });
  const text = `machines with live chats: desk ${version}, laptop unknown`;
  expect((await checksOf(home)).get("versions")).toMatchObject({ state: "ok", text });
  await join("c", "old", { version: "0.0.9\u001B[2J" });
  expect((await checksOf(home)).get("versions")).toMatchObject({
    state: "warn",
    text: holding(/^machines with live chats: old 0\.0\.9\S*, desk/, /^[^\p{Cc}]*$/u),
    fix: holding("Update SHIM on old,"),
  });
  sayOfWorker({ shim: undefined });
  const older = await checksOf(home);
  expect(older.get("coordinator")).toMatchObject({ state: "warn", text: holding("SHIM of an unknown version") });
  expect(older.has("clock")).toBe(false);
});
