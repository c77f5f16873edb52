import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { Host } from "#src/local-mcp/host/host-process.ts";
import { hostSocket } from "#src/platform/host-socket.ts";
import { journalKinds } from "#harness/machine/claude.ts";
import { patience } from "#harness/machine/host-rig.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A host, and the script of a client with the number 100 that posts to it. */
async function aHost(runtime: TempRuntime = tempRuntime()) {
  mkdirSync(runtime.paths.home, { recursive: true });
  const self = runtime.processes.start(7_000);
  const socket = hostSocket(runtime.paths.home, runtime.processes.boot());
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>();
  const program = { version: "2.0.0", builtAt: 1 };
  const host = new Host({ runtime, self, program, socket, kill: () => undefined, onEnded });
  onTestFinished(() => host.stop());
  const link = join(runtime.paths.home, "host.sock");
  await vi.waitUntil(() => statSync(link, { throwIfNoEntry: false }) !== undefined, patience);
  runtime.processes.start(100, 1, "codex");
  runtime.processes.start(101, 100, "bash");
  const { start } = runtime.processes.start(102, 101, "sh");
  const stat = `102 (sh) S 101${" 0".repeat(17)} ${start}`;
  const own = { "shim-home": `=${runtime.paths.home}`, "shim-process": stat, "shim-env-home": "=/home/user" };
  const post = (path: string, body: string, headers: object = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const options = { socketPath: link, method: "POST", path, headers: { ...own, ...headers } };
      const sent = request(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on("error", reject).end(body);
    });
  return { runtime, host, socket, link, own, post, ended };
}

const session = "20487890-04b4-4fe0-bbd5-6aa531354563";

function payload(event: string, fields: object = {}): string {
  return JSON.stringify({ session_id: session, hook_event_name: event, cwd: "/p", ...fields });
}

const nothing: Answer = { status: 200, text: "" };

it("a posted event is stored for the client behind the shells of the script", async () => {
  const { runtime, post } = await aHost();
  const start = { source: "startup", turn_id: "t", transcript_path: "/x/sessions/rollout-1.jsonl" };
  expect(await post("/hook/codex/SessionStart", payload("SessionStart", start))).toEqual(nothing);
  expect(await post("/hook/codex/UserPromptSubmit", payload("UserPromptSubmit", { prompt: "one" }))).toEqual(nothing);
  const stored = runtime.store.read((sql) => sessions.get(sql, session), null);
  expect(stored).toMatchObject({ client: "codex", owner: { pid: 100 } });
  expect(journalKinds(runtime, session)).toContain("prompt");
  expect(runtime.logged).toEqual([]);
});

it("a client that sends its events itself owns its session, where it is in the host's process table", async () => {
  const { runtime, post } = await aHost();
  const { start } = runtime.processes.start(300, 1, "opencode");
  const stated = (of: string): object => ({
    "shim-client": `300 (opencode) S 1${" 0".repeat(17)} ${of}`,
    "shim-home": `%${encodeURIComponent(runtime.paths.home)}`,
  });
  const send = (headers: object): Promise<Answer> =>
    post("/hook/opencode/UserPromptSubmit", payload("UserPromptSubmit", { prompt: "one", prompt_id: "p" }), headers);
  expect(await send(stated("another"))).toMatchObject({ status: 409 });
  expect(await send(stated(start))).toEqual(nothing);
  const stored = runtime.store.read((sql) => sessions.get(sql, session), null);
  expect(stored).toMatchObject({ client: "opencode", owner: { pid: 300 } });
});

it("the host knows another client that runs Claude Code's hooks by the caller's variables, not by its own", async () => {
  const runtime = tempRuntime();
  const { post } = await aHost({ ...runtime, env: { ...runtime.env, CLAUDECODE: "1" } });
  expect(await post("/hook/claude-code/Stop", payload("Stop"), {})).toEqual(nothing);
  expect(runtime.store.read((sql) => sessions.get(sql, session), null)).toBeNull();
  const own = { "shim-env-claudecode": "=1", "shim-env-claude-pid": "=100" };
  expect(await post("/hook/claude-code/Stop", payload("Stop"), own)).toEqual(nothing);
  expect(runtime.store.read((sql) => sessions.get(sql, session), null)).toMatchObject({ owner: { pid: 100 } });
});

it("one name leads to the socket, whatever was there; where it cannot be made the host works without", async () => {
  const runtime = tempRuntime();
  mkdirSync(runtime.paths.home, { recursive: true });
  writeFileSync(join(runtime.paths.home, "host.sock"), "old");
  const { host, link, socket, ended } = await aHost(runtime);
  await vi.waitUntil(() => statSync(link).isSocket(), patience);
  expect(join(runtime.paths.home, readlinkSync(link))).toBe(socket);
  expect(readdirSync(runtime.paths.home).filter((name) => name.endsWith(".next"))).toEqual([]);
  host.stop();
  await ended;
  expect(statSync(link, { throwIfNoEntry: false })).toBeUndefined();
  const other = tempRuntime();
  mkdirSync(join(other.paths.home, "host.sock", "folder"), { recursive: true });
  await aHost(other);
  await vi.waitUntil(() => other.logged.length > 0, patience);
  expect(other.logged.join("")).toContain("the link to the socket of the host");
});

it("a stranger, an unknown client and a body that is too long are refused, and nothing is stored", async () => {
  const { runtime, own, post } = await aHost();
  const stop = (headers: object): Promise<Answer> => post("/hook/codex/Stop", payload("Stop"), headers);
  const fields = own["shim-process"].split(" ");
  const strangers = [fields.with(3, "1"), [...fields.slice(0, -1), "7"], fields.with(0, "103"), ["none"]];
  for (const one of strangers) expect(await stop({ "shim-process": one.join(" ") })).toMatchObject({ status: 409 });
  expect(await stop({ "shim-home": "=/home/another/shim" })).toMatchObject({ status: 409 });
  expect(await post("/hook/nobody/Stop", payload("Stop"))).toMatchObject({ status: 404 });
  const large = post("/hook/codex/Stop", "x".repeat(33_000_000)).catch(() => ({ status: 413 }));
  expect(await large).toMatchObject({ status: 413 });
  expect(runtime.store.read((sql) => sessions.get(sql, session), null)).toBeNull();
});

it("the event of a caller that has gone with its last byte waits in the spool, and comes with the next event", async () => {
  const { runtime, socket, own, post } = await aHost();
  const body = payload("Stop", { session_id: "another" });
  const headers = Object.entries(own).map(([name, value]) => `${name}: ${value}\r\n`);
  const connection = connect(socket);
  connection.end(
    `POST /hook/codex/Stop HTTP/1.1\r\nhost: shim\r\n${headers.join("")}content-length: ${body.length}\r\n\r\n${body}`,
  );
  await new Promise((resolve) => connection.once("close", resolve).resume());
  await post("/hook/codex/UserPromptSubmit", payload("UserPromptSubmit"));
  const stored = (id: string): unknown => runtime.store.read((sql) => sessions.get(sql, id), null);
  expect([stored("another"), stored(session)]).toEqual([expect.anything(), expect.anything()]);
});
