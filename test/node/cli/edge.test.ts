import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { servedAs } from "#harness/edge/fake-edge.ts";
import { RealServer } from "#harness/edge/real-server.ts";
import { aCliHome, addSession, type CliHome, edgeOf, failed } from "#harness/machine/cli-home.ts";
import { holding, ids, printed } from "#harness/machine/cli-home.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-machine.ts";
import { edgeConfigPath, readEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import * as devices from "#src/machine/sharing/device.ts";
import { addKey, createKey, formatCode, keyFilePath } from "#src/machine/sharing/key-ring.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import { err } from "#src/shared/result.ts";
import * as meta from "#src/store/meta.ts";

const edge = { url: "http://127.0.0.1:9", workspace: "team", machine: "m1", token: "shim_a.b" };

it("without a workspace this machine decides, and its commands work at once", async () => {
  const home = aCliHome();
  for (const [command, code, out] of [
    ["team chats", 0, "No chats at this machine.\n"],
    ["call state.set key=color value=red --yes", 0, '"version"'],
    ["call state.get key=color", 0, '"value": "red"'],
    ["call state.set key=color value=blue ifVersion=0 --yes", 1, ""],
    ["call state.list", 0, "color"],
    ["team send all hello", 0, "Sent to all.\n"],
    ["team inbox", 0, "No messages.\n"],
    ["call state.delete key=color --yes", 0, '"isDeleted": true'],
    ["call state.get key=color", 0, '"entry": null'],
    ["call leases.force-release resource=x reason=test --yes", 0, '"isReleased": false'],
    ["workspace status", 0, /^Coordinator: this machine; /],
  ] as const)
    expect([command, await home.shim(command)]).toMatchObject([command, { code, out: holding(out) }]);
});

it("the file that names the coordinator is private, and a machine leaves its workspace only when it is asked to; what cannot be used is refused with what to do, and shows no token", async () => {
  const home = aCliHome();
  home.join(edge.url);
  const path = edgeConfigPath(home.paths.home);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const other = await home.shim("workspace create other --url http://127.0.0.1:9");
  expect(other.err).toContain("This machine belongs to http://127.0.0.1:9, workspace team.");
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(edge);
  const lost = await home.shim("team chats");
  expect(lost).toMatchObject(failed(1, "http://127.0.0.1:9 did not answer"));
  expect(lost.err).not.toContain("shim_a.b");
  expect(await home.codes("workspace leave", "workspace leave --yes", "workspace leave --yes")).toEqual([1, 0, 3]);
  expect(existsSync(path)).toBe(false);
  for (const [command, why] of Object.entries({
    "workspace create Not-A-Name": "2 to 63 lower case letters",
    "workspace join team --url ftp://x": "https://",
    "workspace join team": "give the coordinator: `shim workspace join <name> --url <url>`.",
    "workspace token list": "has not joined a workspace",
  }))
    expect((await home.shim(command)).err).toContain(why);
});

it("the admin token is used where it is needed, kept by a new token, and not deleted without a word", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  server.answer = ({ url }, response) =>
    void response.end(url.includes("force-release") ? '{"isReleased":true}' : '{"leases":[],"cursor":null}');
  home.join(server.url, { adminToken: "shim_c.d" });
  await home.shim("call leases.list");
  expect((await home.shim("call leases.force-release resource=x reason=test --yes")).code).toBe(0);
  const used = server.seen.map(({ headers }) => headers.authorization);
  expect([...new Set(used)]).toEqual(["Bearer shim_a.b", "Bearer shim_c.d"]);
  for (const command of ["workspace leave", `workspace join other --url ${server.url}`])
    expect((await home.shim(command)).err).toContain("The admin token is deleted too");
  const counts = { overdueRows: 0, outboxDepth: 0, sockets: 0, chats: 0, schemaVersion: 1, epoch: 0, revision: 0 };
  const health = JSON.stringify({ ...counts, alarmInMs: null, storage: null, protocol: 1 });
  server.answer = (_request, response) => void response.end(health);
  const token = tokenWith({ m: "m2", s: "work" });
  const join = `workspace join team --url ${server.url}/ --no-sync`;
  expect((await home.shimWith({ readInput: async () => token }, join)).code).toBe(0);
  const stored = JSON.parse(readFileSync(edgeConfigPath(home.paths.home), "utf8")) as object;
  expect(stored).toMatchObject({ machine: "m2", token, adminToken: "shim_c.d" });
});

it("a token is revoked by a unique prefix of its id", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const about = { machine: "m2", scope: "work", ageMs: 0, signedAgoMs: 0, expiresInMs: null, isRevoked: false };
  const tokens = ["tok_aa1", "tok_ab2"].map((id) => Object.assign({ id }, about));
  server.answer = ({ url }, response) =>
    void response.end(JSON.stringify(url.endsWith("/revoke") ? { isRevoked: true } : { tokens }));
  home.join(server.url, { adminToken: "shim_c.d" });
  const several = failed(2, "matches several tokens", "tok_aa1  m2");
  expect(await home.shim("workspace token revoke tok_a")).toMatchObject(several);
  expect(await home.shim("workspace token revoke tok_ab")).toMatchObject(printed("tok_ab2 is revoked"));
  expect(server.seen.at(-1)?.body).toContain('"id":"tok_ab2"');
});

it("a workspace is put back or deleted after a yes only, and what would be lost is shown before", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  server.answer = ({ body }, response) => {
    const lost = [{ kind: "key.set", count: 2 }];
    response.end(JSON.stringify({ lost, revoked: 0, epoch: body.includes('"isDryRun":true') ? null : 7 }));
  };
  home.join(server.url, { adminToken: "shim_c.d" });
  const putBack = (option = "") => home.shim(`workspace restore --to 2h --reason test ${option}`);
  expect(await putBack("--dry-run")).toMatchObject(printed("  2  key.set"));
  expect(await putBack()).toMatchObject(failed(1, "  2  key.set", "Confirm with --yes"));
  expect(await home.shim("workspace delete team")).toMatchObject(failed(1, "Confirm with --yes"));
  expect(await putBack("--yes")).toMatchObject(printed("with epoch 7"));
  const dry = server.seen.map(({ body }) => (JSON.parse(body) as { isDryRun: boolean }).isDryRun);
  expect(dry).toEqual([true, true, true, false]);
});

function tokenWith(claims: object): string {
  return `shim_${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
}

const made = '{"workspace":"team","id":"tok_1","token":"shim_a.a"}';
const own = '{"id":"tok_2","token":"shim_b.b"}';
const registered = '{"keyId":"0123456789abcdef"}';

it("a workspace whose answer was lost is made by the same command again; a request is sent twice at most, under one id", async () => {
  const home = aCliHome();
  const server = await RealServer.answering(null, made, registered, null, null, made, registered, own, null, own);
  const env = { ...home.runtime.env, SHIM_ADMIN_SECRET: "secret" };
  const command = `workspace create team --url ${server.url}`;
  for (let times = 0; times < 2; times++) {
    expect(await home.shimWith({ env }, command)).toMatchObject(failed(1, "answer"));
    expect(readEdgeConfig(home.paths.home)).toEqual({ ok: true, value: null });
  }
  expect((await home.shimWith({ env }, command)).code).toBe(0);
  const ids = server.requestIds.filter((_, at) => !server.seen[at]?.url.endsWith("/sync/rekey"));
  const [workspace, token] = [ids[0], ids.at(-1)];
  expect(ids).toEqual([workspace, workspace, token, token, workspace, token]);
  expect(token).toMatch(new RegExp(`^${String(workspace)}:.`));
  expect(readEdgeConfig(home.paths.home)).toMatchObject({ value: { token: "shim_b.b", adminToken: "shim_a.a" } });
  expect(home.runtime.store.read((sql) => meta.listOf(sql, "workspace_request"), [])).toEqual([]);
  expect(await home.shim("workspace token create --machine m2")).toMatchObject({ code: 0, out: "shim_b.b\n" });
  expect(server.requestIds.at(-1)).toBe(server.requestIds.at(-2));
});

it("the secret in .dev.vars is for the development server only, whatever this machine is called in its address", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, ".dev.vars"), "SHIM_ADMIN_SECRET=of-dev\n");
  const env = { ...home.runtime.env, SHIM_DEV_PORT: "9" };
  const needs = "needs the secret of the deployment";
  for (const [url, isUsed] of [
    ["http://localhost:9/", true],
    ["http://127.0.0.1:9", true],
    ["http://[::1]:9", true],
    ["http://127.0.0.1:10", false],
    ["http://127.0.0.1:9/other", false],
    ["https://localhost:9", false],
    ["https://shim.example.com:9", false],
  ] as const) {
    const tried = await home.shimWith({ env }, "workspace create team --url", url);
    expect([url, !tried.err.includes(needs)]).toEqual([url, isUsed]);
  }
  expect((await home.shimWith({ env }, "workspace create team")).err).toContain("http://127.0.0.1:9 does not answer");
});

it("a machine takes up the new signing secret with all its tokens, and works when the old one is gone", async () => {
  const first = await EdgeRuntime.open();
  const home = aCliHome();
  const { workspace } = first;
  const { token } = await first.call("tokens.create", { machine: "m1", scope: "work" });
  const old = { token, adminToken: first.adminToken };
  const present = { SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens" };
  const bindings = { ...present, SHIM_PREVIOUS_SIGNING_SECRET: first.secrets.SHIM_SIGNING_SECRET };
  const both = await EdgeRuntime.open({ beside: first, bindings });
  home.join(both.url, { workspace, ...old });
  const signed = printed("work and admin tokens are signed", "the previous secret can be deleted");
  expect(await home.shim("workspace rotate-secret")).toMatchObject(signed);
  const renewed = edgeOf(home);
  expect(await home.json("workspace rotate-secret")).toEqual({ renewed: ["work", "admin"], others: [] });
  expect(edgeOf(home)).toEqual(renewed);

  const alone = await EdgeRuntime.open({ beside: first, bindings: present });
  home.join(alone.url, { ...renewed, url: alone.url });
  expect(await home.shim("team settings set maxConcurrentChats", "7")).toMatchObject({ code: 0 });
  expect(await home.shim("task submit", "build")).toMatchObject({ code: 0 });
  home.join(alone.url, { workspace, ...old });
  expect(await home.shim("task submit", "build")).toMatchObject(failed(1, "token"));
});

const aCode = /shimkey-[\w-]{48}/;

/** The first machine of a workspace. @returns the key's code, and what was printed */
async function create(server: SyncServer, home = aCliHome(), ...more: string[]) {
  home.alive.add(process.pid);
  const env = { ...home.runtime.env, SHIM_ADMIN_SECRET: "secret" };
  const made = await home.shimWith({ env }, "workspace create team --url", server.url, ...more);
  expect(made).toMatchObject(printed("This machine has joined team", aCode));
  return { code: aCode.exec(made.out)?.[0] ?? "", out: made.out };
}

function joinAs(home: CliHome, server: SyncServer, lines: readonly string[], ...more: string[]) {
  home.alive.add(process.pid);
  const readInput = async () => `${[tokenOf("m2"), ...lines].join("\n")}\n`;
  return home.shimWith({ readInput }, "workspace join team --url", server.url, ...more);
}

/** A second machine, which is not in the workspace yet. */
async function aSecond(): Promise<{ server: SyncServer; code: string; home: CliHome }> {
  const server = await SyncServer.listen();
  return { server, code: (await create(server)).code, home: aCliHome() };
}

/** The first machine, which has synced these sessions. */
async function aSynced(...sessions: string[]): Promise<{ server: SyncServer; code: string; home: CliHome }> {
  const [server, home] = [await SyncServer.listen(), aCliHome()];
  for (const id of sessions) addSession(home, { id });
  const { code } = await create(server, home, "--import");
  await home.shim("workspace sync");
  return { server, code, home };
}

async function storedAt(server: SyncServer): Promise<OutputOf<"sync.status">> {
  return given(await server.host.call("sync.status", {}));
}

it("another machine gives the key; without it, or with another one, nothing is changed", async () => {
  const { server, code, home } = await aSecond();
  const isJoined = () => [edgeConfigPath, keyFilePath].map((path) => existsSync(path(home.paths.home)));
  const other = formatCode(createKey((bytes) => new Uint8Array(bytes).fill(3)));
  for (const [lines, why] of [
    [[], "the workspace has a key"],
    [[other], "this is key"],
    [[code.slice(0, -3)], "not complete"],
  ] as const) {
    const refused = await joinAs(home, server, lines);
    expect(refused.err).toContain(why);
    expect([refused.code === 0, aCode.test(refused.err), ...isJoined()]).toEqual([false, false, false, false]);
  }
  expect(await joinAs(home, server, [code])).toMatchObject({ code: 0 });
  expect(readFileSync(keyFilePath(home.paths.home), "utf8")).toContain(code);
  const third = aCliHome();
  expect(await joinAs(third, server, [], "--no-sync")).toMatchObject(printed("Nothing is synced"));
  const readInput = async () => code;
  expect(await third.shimWith({ readInput }, "workspace key set")).toMatchObject(printed("This machine has key"));
});

it("a wrong key is no more said once the right one is set, or the workspace is left", async () => {
  const { server, code, home } = await aSecond();
  const first = aCliHome();
  for (const one of [first, home]) {
    expect(await joinAs(one, server, [code], "--import")).toMatchObject({ code: 0 });
    addSession(one, { id: one === home ? ids.dead : ids.elsewhere });
  }
  for (const command of ["set", "leave"] as const) {
    const [next = ""] = aCode.exec((await first.shim("workspace key rotate --yes")).out) ?? [];
    home.now += 1_000;
    addSession(home, { id: command === "set" ? ids.dead : ids.finished });
    expect((await home.shim("workspace sync")).err).toContain("the workspace has a new key");
    expect((await home.shim("sessions")).err).toContain("Nothing of this machine is synced");
    const words = command === "set" ? "workspace key set" : "workspace leave --yes";
    expect(await home.shimWith({ readInput: async () => next }, words)).toMatchObject({ code: 0, err: "" });
  }
});

it("in a terminal a join asks for what it lacks, and without an answer nothing is changed", async () => {
  const { server, code, home } = await aSecond();
  home.alive.add(process.pid);
  let questions = "";
  const answers = (...texts: string[]) => {
    const ask = async (question: string) => ((questions += question), texts.shift() ?? "");
    return home.shimWith({ isInteractive: true, ask }, "workspace join team --url", server.url);
  };
  for (const given of [[], [tokenOf("m2")]]) {
    expect((await answers(...given)).code).not.toBe(0);
    expect(existsSync(edgeConfigPath(home.paths.home)) || existsSync(keyFilePath(home.paths.home))).toBe(false);
  }
  questions = "";
  expect(await answers(tokenOf("m2"), code)).toMatchObject(printed("This machine has joined team as m2"));
  expect(questions).toMatch(/Token.*Key/);
});

it("a registration whose answer was lost is repeated with the same key", async () => {
  const [server, home] = [await SyncServer.listen(), aCliHome()];
  server.losesAnswersOf = "/sync/rekey";
  expect((await joinAs(home, server, [])).code).toBe(1);
  server.losesAnswersOf = null;
  expect(await joinAs(home, server, [])).toMatchObject({ code: 0 });
  expect((await home.shim("workspace sync")).code).toBe(0);
});

it("at a new address of its workspace a machine keeps tokens, key and device; another coordinator asks for a token", async () => {
  const { server, home } = await aSynced(ids.dead);
  const before = edgeOf(home);
  const url = server.url.replace("127.0.0.1", "localhost");
  expect((await home.shim("workspace join team --url", url)).err).toContain("with its present tokens");
  expect(await home.shim("workspace join team --yes --url", url)).toMatchObject({ code: 0 });
  expect(edgeOf(home)).toEqual({ ...before, url });
  expect(await home.shim("workspace sync")).toMatchObject(printed("Sent: 0 sessions", "Received: 0 sessions"));
  const other = await RealServer.listen();
  const refused = JSON.stringify({ error: { code: "unauthenticated", message: "no", retryable: false } });
  other.answer = (_request, response) => void response.writeHead(401).end(refused);
  const asked = await home.shim("workspace join team --yes --url", other.url);
  expect(asked).toMatchObject(failed(1, "the token of this machine is needed"));
  expect(edgeOf(home)).toEqual({ ...before, url });
});

it("tasks and state of a machine stay in its own file, and are there again when it leaves", async () => {
  const { server, code, home } = await aSecond();
  addSession(home, { id: ids.dead });
  await home.shim("task submit build");
  await home.shim("call state.set key=color value=red --yes");
  const stays = printed("1 open task and 1 key of state stay in this machine's own file");
  expect(await joinAs(home, server, [code], "--import")).toMatchObject(stays);
  expect(await joinAs(home, server, [code], "--import")).toMatchObject(stays);
  expect(await server.host.call("tasks.list", {})).toMatchObject({ ok: true, value: { tasks: [] } });
  expect(await home.shim("workspace sync")).toMatchObject(printed("Sent: 1 session, 1 checkpoint"));
  await home.shim("workspace leave --yes");
  expect(await home.json("task list")).toMatchObject({ tasks: [{ state: "queued" }] });
  expect(await home.json("call state.get key=color")).toMatchObject({ entry: { value: "red" } });
});

it("without --import what was there stays here, and only later changes are sent", async () => {
  const { server, code, home } = await aSecond();
  addSession(home, { id: ids.dead });
  expect(await joinAs(home, server, [code])).toMatchObject({ code: 0 });
  expect((await home.shim("workspace sync")).out).toContain("Sent: 0 sessions, 0 checkpoints");
  home.now += 1_000;
  addSession(home, { id: ids.elsewhere });
  expect((await home.shim("workspace sync")).out).toContain("Sent: 1 session, 1 checkpoint");
  // Also where all is sent again.
  expect((await home.shim("workspace key rotate --yes")).out).toContain("Sent: 1 session, 1 checkpoint");
});

it("with --no-sync nothing is sent though the key is here, and what was to stay stays", async () => {
  const { server, code, home } = await aSecond();
  await joinAs(home, server, [code]);
  await home.shim("workspace sync");
  addSession(home, { id: ids.dead });
  expect(await joinAs(home, server, [], "--no-sync")).toMatchObject({ code: 0 });
  expect(await home.shim("workspace sync")).toMatchObject(failed(1, "joined with --no-sync"));
  await home.shim("workspace leave --yes");
  expect(await joinAs(home, server, [], "--no-sync")).toMatchObject({ code: 0 });
  expect(await home.shim("workspace sync")).toMatchObject({ code: 1 });
  home.now += 1_000;
  addSession(home, { id: ids.elsewhere });
  expect(await home.shimWith({ readInput: async () => code }, "workspace key set")).toMatchObject({ code: 0 });
  expect((await home.shim("workspace sync")).out).toContain("Sent: 1 session, 1 checkpoint");
});

it("a machine that leaves chooses what becomes of the copies; keys and sessions stay on the machine", async () => {
  const { server, home } = await aSynced(ids.dead);
  expect(await storedAt(server)).toMatchObject({ sessions: 1, checkpoints: 1 });
  server.isDown = true;
  expect(await home.shim("workspace leave --yes --forget")).toMatchObject(failed(1, "this machine has not left"));
  expect(existsSync(edgeConfigPath(home.paths.home))).toBe(true);
  server.isDown = false;
  const left = await home.shim("workspace leave --yes --forget");
  expect(left.out).toContain("1 session and 1 checkpoint of this machine were deleted there");
  expect(await storedAt(server)).toMatchObject({ sessions: 0, checkpoints: 0 });
  expect(existsSync(keyFilePath(home.paths.home))).toBe(true);
  expect((await home.shim("sessions --json")).out).toContain(ids.dead);
  expect(home.runtime.store.read(devices.get, null)).toBeNull();
  // What was deleted there is not sent again for what is forgotten here.
  home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET hash = 'another'"));
  await joinAs(home, server, []);
  expect((await home.shim("workspace sync")).out).toContain("Sent: 0 sessions, 0 checkpoints, 0 deletions");
  expect(await storedAt(server)).toMatchObject({ sessions: 0 });
});

it("a machine that comes back still deletes what it had stored before it left, also what it forgot while it was away", async () => {
  const { server, code, home } = await aSynced(ids.dead, ids.elsewhere);
  await home.shim("workspace leave --yes");
  await home.shim(`forget ${ids.elsewhere} --yes`);
  const readInput = async () => `${tokenOf("m1")}\n${code}\n`;
  expect((await home.shimWith({ readInput }, "workspace join team --url", server.url)).code).toBe(0);
  const sent = "Sent: 0 sessions, 0 checkpoints, 1 deletion. Received: 0 sessions of other machines.\n";
  expect((await home.shim("workspace sync")).out).toBe(sent);
  expect(await storedAt(server)).toMatchObject({ sessions: 1 });
  for (let times = 0; times < 2; times++) await home.shim(`forget ${ids.dead} --yes`);
  await home.shim("workspace sync");
  expect(await storedAt(server)).toMatchObject({ sessions: 0, checkpoints: 0 });
});

it("a machine leaves a workspace that is deleted, where no copies are", async () => {
  const { server, home } = await aSynced(ids.dead);
  const { status, body } = servedAs(err({ code: "unknown_workspace", message: "there is no such workspace" }));
  server.http.answer = (_request, response) => void response.writeHead(status).end(body);
  const left = await home.shim("workspace leave --yes --forget");
  expect(left).toMatchObject(printed("0 sessions and 0 checkpoints of this machine were deleted there"));
  expect(existsSync(edgeConfigPath(home.paths.home))).toBe(false);
});

it("a rekey that was cut short is repaired by the next one, and the shown code is the workspace's @night", async () => {
  const [server, home] = [await SyncServer.listen(), aCliHome()];
  const { code } = await create(server, home);
  const present = async (): Promise<string> => (await home.shim("workspace key show --yes --json")).out;
  const there = async (): Promise<unknown> => (await storedAt(server)).keyId;
  // The workspace has taken the key, and the answer was lost.
  server.losesAnswersOf = "/sync/rekey";
  expect(await home.codes("workspace key rotate", "workspace key rotate --yes")).toEqual([1, 1]);
  server.losesAnswersOf = null;
  expect(await present()).toContain(await there());
  expect(await present()).not.toContain(code);
  // Killed before it asked: the newest key here is none that the workspace knows.
  const unknown = createKey((bytes) => new Uint8Array(bytes).fill(9));
  addKey(home.paths.home, edgeOf(home), unknown);
  expect(await present()).toContain(await there());
  expect((await home.shim("workspace key rotate --yes")).out).toContain("The workspace has a new key");
  expect(await present()).toContain(await there());
});

it("the first machine makes the key, shows it once, and says what the coordinator can read", async () => {
  const home = aCliHome();
  const { code, out } = await create(await SyncServer.listen(), home);
  expect(out).toEqual(holding("what is synced is lost too", "What the coordinator can read: tasks, messages, state"));
  expect(statSync(keyFilePath(home.paths.home)).mode & 0o777).toBe(0o600);
  expect((await home.shim("workspace status")).out).not.toContain(code);
  expect(readFileSync(edgeConfigPath(home.paths.home), "utf8")).not.toContain(code);
});
