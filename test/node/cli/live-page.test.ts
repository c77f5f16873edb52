import { randomBytes } from "node:crypto";
import { readFileSync, statSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, addSession, aSeededHome, holding, ids, type CliHome } from "#harness/machine/cli-home.ts";
import { callAs, fakeBundle, sendRaw, servePage, signIn, type ServedPage } from "#harness/web/live-page.ts";
import { SignIn } from "#src/local-mcp/page/page-app.ts";
import { pageCalls } from "#src/local-mcp/page/serve.ts";
import { ok } from "#src/shared/result.ts";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { given } from "#harness/coordinator/peers.ts";
import { seedTeam } from "#harness/web/seeds.ts";
import { someReadings } from "#harness/machine/temp-runtime.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { record } from "#src/machine/sessions/signals/crashes.ts";
import { countCost } from "#src/machine/sessions/usage/ledger.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

async function aPage(home: CliHome = aSeededHome()): Promise<ServedPage> {
  fakeBundle(home);
  return servePage(home);
}

/** A page whose user has signed in, and the calls that it makes. */
async function signedIn(home?: CliHome) {
  const page = await aPage(home);
  const authorization = await signIn(page);
  const call = (name: string, input = {}, requestId?: string) =>
    callAs(page, authorization, { name, input, ...(requestId === undefined ? {} : { requestId }) });
  return { page, authorization, call };
}

/** Headers of a request that the page itself sends. */
function ownHeaders({ port, origin }: ServedPage, more: Readonly<Record<string, string>> = {}) {
  const own = { host: `127.0.0.1:${port}`, origin, "sec-fetch-site": "same-origin" };
  return { ...own, "content-type": "application/json", ...more };
}

it("the page and `shim up` count the same sessions that ended in the last day, however many of them are rows", async () => {
  const home = aCliHome();
  for (let n = 0; n < 27; n++) {
    const id = `eeee${1_000 + n}-0000`;
    addSession(home, { id, pid: 900 + n, entries: [] });
    home.runtime.store.write((sql) => reportEnd(sql, home.runtime, id, "prompt_input_exit"));
  }
  const fleet = await home.json("call page.fleet");
  expect([fleet["ended"], (fleet["rows"] as unknown[]).length]).toEqual([27, 20]);
  expect(await home.json("up")).toMatchObject({ ended: 27 });
});

it("the page is served on loopback only, at the same port each time, which a file of the user keeps", async () => {
  const home = aSeededHome();
  const first = await aPage(home);
  await first.stop();
  expect((await servePage(home)).port).toBe(first.port);
  const file = join(home.paths.home, "web.json");
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ port: first.port });
});

it("a Host that is not this server's is answered with 421 before anything else, for every path and method", async () => {
  const { page, authorization } = await signedIn();
  for (const host of ["evil.test", `evil.test:${page.port}`, "127.0.0.1", `127.0.0.1:${page.port + 1}`, "0.0.0.0"])
    for (const path of ["/", "/api/call", "/api/sign-in", "/..%2fweb.json"])
      for (const method of ["GET", "POST", "OPTIONS", "PUT"]) {
        // Origin and Host that are equal prove nothing.
        const headers = ownHeaders(page, { authorization, origin: `http://${host}`, host });
        const { status, text } = await sendRaw(page.port, { method, path, headers });
        expect([host, path, method, status, text.includes(ids.alive)]).toEqual([host, path, method, 421, false]);
      }
  for (const name of ["localhost", "[::1]", "LOCALHOST"]) {
    const headers = { host: `${name}:${page.port}` };
    expect((await sendRaw(page.port, { method: "GET", path: "/", headers })).status).toBe(200);
  }
});

it("a change is refused without this server's Origin: none, null, another site, another port, a rebound name", async () => {
  const { page, authorization } = await signedIn();
  const own = ownHeaders(page, { authorization });
  const { origin: _origin, ...withoutOrigin } = own;
  const body = { name: "page.fleet", input: {} };
  const others = ["null", "https://evil.test", `http://127.0.0.1:${page.port + 1}`, `https://127.0.0.1:${page.port}`];
  for (const headers of [
    withoutOrigin,
    ...[...others, `http://127.0.0.1:${page.port}.evil.test`].map((origin) => Object.assign({}, own, { origin })),
    { ...own, "sec-fetch-site": "cross-site" },
    { ...own, "sec-fetch-site": "same-site" },
  ]) {
    const { status, text } = await sendRaw(page.port, { path: "/api/call", headers, body });
    expect([headers, status, text.includes(ids.alive)]).toEqual([headers, 403, false]);
  }
  const socket = { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
  for (const path of ["/api/live", "/api/call"]) {
    const headers = { ...own, ...socket, "sec-websocket-key": "x", origin: "https://evil.test" };
    expect(await sendRaw(page.port, { method: "GET", path, headers })).toMatchObject({ status: 404 });
  }
  expect((await sendRaw(page.port, { path: "/api/call", headers: own, body })).status).toBe(200);
});

it("only JSON is taken, and no other site is allowed to read: a form of another site cannot send it; GET answers the files of the bundle only, no path leaves it, and none holds a token or data", async () => {
  const { page, authorization } = await signedIn();
  const body = { name: "page.fleet", input: {} };
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
    const typed = ownHeaders(page, { authorization, "content-type": type });
    const { status } = await sendRaw(page.port, { path: "/api/call", headers: typed, body });
    expect([type, status]).toEqual([type, 415]);
  }
  const preflight = await sendRaw(page.port, { method: "OPTIONS", path: "/api/call", headers: ownHeaders(page) });
  expect(preflight.status).toBe(404);
  expect(Object.keys(preflight.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  const headers = ownHeaders(page, { authorization });
  const get = (path: string) => sendRaw(page.port, { method: "GET", path, headers });
  const outside = ["/..%2f..%2fweb.json", "/../../shim/web.json", "/%2e%2e/%2e%2e/shim/web.json", "//evil.test/"];
  const others = ["/_headers", "/index.html", "/api/call", "/api/live", "/api/sign-in", "/app-12345678.js/../../x"];
  const text = '{"error":{"code":"unknown_operation","message":"there is nothing here"}}';
  for (const path of [...outside, ...others])
    expect([path, await get(path)]).toMatchObject([path, { status: 404, text }]);
  expect((await get("/")).text).toBe("<!doctype html><title>SHIM</title>");
});

it("every answer has the strict headers, and no data is ever stored by the browser", async () => {
  const { page, authorization } = await signedIn();
  const requests = [
    { method: "GET", path: "/" },
    { method: "GET", path: "/app-12345678.js" },
    { method: "GET", path: "/none" },
    { path: "/api/call", body: { name: "page.fleet", input: {} } },
    { path: "/api/call", body: { name: "none", input: {} } },
    { path: "/api/sign-out", body: {} },
    { path: "/api/call", headers: { host: "evil.test" } },
  ];
  for (const request of requests) {
    const { headers } = await sendRaw(page.port, { headers: ownHeaders(page, { authorization }), ...request });
    expect(headers).toMatchObject({
      "content-security-policy": holding(
        /^default-src 'none'; .*require-trusted-types-for 'script'/,
        /manifest-src 'self'; worker-src 'self'; trusted-types shim-worker$/,
      ),
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    });
    if (request.method !== "GET") expect(headers["cache-control"]).toBe("no-store");
  }
});

it("the link's token works once, within a minute, and is exchanged for a secret; nothing sets a cookie or takes one", async () => {
  const home = aSeededHome();
  const page = await aPage(home);
  const exchange = (token: unknown) =>
    sendRaw(page.port, { path: "/api/sign-in", headers: ownHeaders(page), body: { token } });
  const token = page.token();
  const first = await exchange(token);
  expect([first.status, first.headers["set-cookie"]]).toEqual([200, undefined]);
  const { secret } = JSON.parse(first.text) as { secret: string };
  expect(secret).toMatch(/^[\w-]{43}$/);
  const body = { name: "page.fleet", input: {} };
  for (const name of [`shim-${page.port}`, "shim-secret", "authorization"]) {
    const headers = ownHeaders(page, { cookie: `${name}=${secret}` });
    expect((await sendRaw(page.port, { path: "/api/call", headers, body })).status).toBe(401);
  }
  const authorization = `Bearer ${secret}`;
  expect((await callAs(page, authorization, body)).status).toBe(200);
  for (const wrong of ["", "Bearer ", `${authorization}x`, authorization.slice(0, -1), secret])
    expect([wrong, (await callAs(page, wrong, body)).status]).toEqual([wrong, 401]);
  // Only the page itself is given another link.
  for (const [used, isNew] of Object.entries({ [token]: false, "": true }))
    expect([(await exchange(used)).status, page.token() !== token]).toEqual([401, isNew]);
  // One that is still good is not replaced.
  const good = page.token();
  expect([(await exchange("")).status, page.token()]).toEqual([401, good]);
  home.now += 60_000;
  for (const wrong of [page.token(), "", "x", 7, null, { $ne: "" }]) expect((await exchange(wrong)).status).toBe(401);
  expect((await exchange(page.token())).status).toBe(200);
});

it("fifty pages are signed in; with one more the first ends, and its stream", () => {
  const pages = new SignIn({ now: () => 0, random: randomBytes });
  const enter = () => `Bearer ${pages.exchange(pages.newToken())}`;
  const secrets = Array.from({ length: 50 }, enter);
  const first = pages.find(secrets[0]);
  expect(first?.ended.signal.aborted).toBe(false);
  secrets.push(enter());
  expect(secrets.filter((one) => !pages.find(one))).toEqual([secrets[0]]);
  expect(first?.ended.signal.aborted).toBe(true);
});

it("the last 200 answers are kept for calls that a page repeats", async () => {
  let calls = 0;
  const host = { call: async () => (calls++, ok({})) };
  const call = pageCalls(host as never, {} as never);
  for (const n of [...Array(201).keys(), 1, 0]) await call({ name: "page.fleet", input: {}, requestId: `r${n}` });
  expect(calls).toBe(202);
});

it("signing out ends the stream of hints that was opened under its secret, and no other", async () => {
  const { page, authorization } = await signedIn();
  const post = (path: string, authorization: string) =>
    sendRaw(page.port, { path, headers: ownHeaders(page, { authorization }), body: {} });
  await sendRaw(page.port, { path: "/api/sign-in", headers: ownHeaders(page), body: {} });
  const other = await signIn(page);
  const [ended, kept] = [post("/api/live", authorization), post("/api/live", other)];
  for (const path of ["/api/live", "/api/sign-out"]) expect((await post(path, "")).status).toBe(401);
  await post("/api/sign-out", authorization);
  expect((await callAs(page, authorization, { name: "page.fleet" })).status).toBe(401);
  expect((await ended).text.trim()).toBe('{"changed":"all"}');
  expect(await Promise.race([kept, callAs(page, other, { name: "page.fleet" })])).toMatchObject({ value: {} });
  await post("/api/sign-out", other);
  expect((await kept).status).toBe(200);
});

it("the page may call what its views need: operations that show keys, write files or make tokens, tasks or messages are refused", async () => {
  const { page, authorization, call } = await signedIn();
  const ofMachine = ["workspace.key", "files.restore", "toString"];
  const unknown = { status: 404, value: { error: { code: "unknown_operation" } } };
  for (const name of ["tokens.create", "tasks.submit", "state.set", "messages.send", "settings.set", ...ofMachine])
    expect([name, await call(name)]).toMatchObject([name, unknown]);
  for (const wrong of [call("tasks.list", { limit: 0 }), call("page.session")])
    expect(await wrong).toMatchObject({ status: 400 });
  const headers = ownHeaders(page, { authorization });
  for (const body of ["[]", "{", "null", '{"name":1}', `"${"x".repeat(1_100_000)}"`])
    expect((await sendRaw(page.port, { path: "/api/call", headers, body })).status).toBe(400);
});

it("the fleet has each chat with its figures and ages, and a session its conversation, brief and commands", async () => {
  const { call } = await signedIn();
  const states = { [ids.alive]: "works", [ids.dead]: "died", [ids.elsewhere]: "died", [ids.finished]: "ended" };
  const rows = Object.entries(states).map(([id, state]) => ({ id, state, seenAgeMs: 60_000 }));
  const fleet = { where: "this machine", trouble: null, notices: [], costUsdToday: null, rows };
  expect((await call("page.fleet")).value).toMatchObject(fleet);
  expect((await call("page.session", { session: ids.dead })).value).toMatchObject({
    row: { id: ids.dead, cause: "killed", resumeCommand: "shim resume bbbb2222" },
    checkpoints: 1,
    forkCommand: "shim fork bbbb2222 --at",
  });
  const prompt = { kind: "prompt", text: "fix the parser", ageMs: 60_000, number: 1 };
  const conversation = (await call("conversation.read", { session: ids.dead })).value;
  expect(conversation).toMatchObject({ rows: expect.arrayContaining([expect.objectContaining(prompt)]) });
  const brief = { brief: holding("fix the parser"), score: { total: expect.any(Number) } };
  expect((await call("recovery.brief", { session: ids.dead })).value).toMatchObject(brief);
  for (const name of ["page.session", "recovery.brief", "recovery.dismiss"])
    expect(await call(name, { session: "nothing" })).toMatchObject({ status: 404 });
});

type Entry = Record<"subject" | "actor", string> & { detail: { result: string } };

it("dismiss, offer again and forget do what their commands do, a repeat of a request happens once, and what the page and the command line do is in one log, once each, without the content", async () => {
  const home = aSeededHome();
  const { call: run } = await signedIn(home);
  const states = async (): Promise<unknown> => (await home.json("sessions"))["sessions"];
  const session = ids.dead;
  expect((await run("recovery.dismiss", { session }, "r1")).value).toMatchObject({ session });
  expect((await run("recovery.undo", { session }, "r1")).value).toMatchObject({ isUndone: true });
  // Sent again by a browser that lost the answer: it must not dismiss the session a second time.
  expect((await run("recovery.dismiss", { session }, "r1")).value).toMatchObject({ session });
  expect(await states()).toContainEqual(expect.objectContaining({ id: session, state: "died" }));
  home.now += 1_000;
  expect(await home.codes(`resume --dismiss ${session}`, `resume --undo ${ids.elsewhere}`)).toEqual([0, 1]);
  home.now += 1_000;
  expect(await run("sessions.forget", { target: home.project }, "r3")).toMatchObject({ status: 400 });
  const forget = () => run("sessions.forget", { target: session }, "r2");
  const [first, second] = await Promise.all([forget(), forget()]);
  expect(first).toMatchObject({ status: 200, value: { rows: expect.any(Number) } });
  expect(second).toEqual(first);
  expect(JSON.stringify(await states())).not.toContain(session);
  expect((await home.shim("forget --yes", ids.elsewhere)).code).toBe(0);
  const listed = async (kind: string): Promise<unknown> => {
    const entries = (await run("page.audit", { kind })).value["entries"] as Entry[];
    return entries.map(({ subject, actor, detail }) => [subject, actor, detail.result]);
  };
  const [dead, elsewhere] = [session.slice(0, 8), ids.elsewhere.slice(0, 8)];
  for (const [kind, subject, result] of [
    ["session.forgotten", elsewhere, "done"],
    ["session.dismissed", dead, "done"],
    ["session.offered-again", elsewhere, "nothing_to_undo"],
  ] as const) {
    const own = [subject, "command line", result];
    expect([kind, await listed(kind)]).toEqual([kind, [own, [dead, "live page", "done"]]]);
  }
  const text = JSON.stringify(audit.listNewest(home.runtime, 100));
  expect([text.includes(session), text.includes("parser")]).toEqual([false, false]);
});

it("actions on the team are the audited operations, with the request's id where they take one", async () => {
  const home = aSeededHome();
  const { coordinator, self, dead, running } = seedTeam(home, ids.alive, 100);
  const { call } = await signedIn(home);
  const run = (name: string, input: object) => call(name, input, name);
  expect(await run("tasks.replay", { task: dead[0] })).toMatchObject({ value: { tasks: [{ state: "queued" }] } });
  expect(await run("tasks.discard", { task: dead[1], reason: "no" })).toMatchObject({ value: { state: "dead" } });
  expect(await run("tasks.cancel", { task: running, reason: "no" })).toMatchObject({ value: { state: "running" } });
  expect(await run("chats.drain", { chat: self.chat })).toMatchObject({ value: { status: "draining" } });
  const release = { resource: "file:p1/src/parser.ts", reason: "stuck" };
  expect(await run("leases.force-release", release)).toMatchObject({ value: { isReleased: true } });
  const { entries } = given(coordinator.call("audit.list", { kind: "lease.forced" }));
  expect(entries).toMatchObject([{ subject: release.resource }]);
  const { rows } = (await call("page.fleet")).value;
  expect(rows).toContainEqual(expect.objectContaining({ id: ids.alive, taskCount: expect.any(Number) }));
});

it("where the workspace's coordinator cannot be used, the sessions of this machine are shown with the reason", async () => {
  const home = aSeededHome();
  const { call } = await signedIn(home);
  writeFileSync(join(home.paths.home, "edge.json"), "{");
  expect((await call("page.fleet")).value).toMatchObject({ trouble: holding("edge.json"), rows: { length: 4 } });
  const replay = () => call("tasks.replay", { task: 1 }, "r1");
  expect(await replay()).toMatchObject({ status: 503 });
  rmSync(join(home.paths.home, "edge.json"));
  // A request that has failed may be sent again.
  expect((await replay()).value).toMatchObject({ error: { code: "unknown_task" } });
});

it("the page has notices and pauses, a chat's cost by day and how full its context was, and what chats were told", async () => {
  const home = aSeededHome();
  const { now } = home;
  const hour = 3_600_000;
  home.runtime.store.write((sql) => {
    notices.add(sql, now, "store_damaged", "the store was damaged");
    pause(sql, now, null, null);
    pause(sql, now, now + 2 * hour, "/elsewhere");
    const chat = sessions.get(sql, ids.alive);
    if (chat) countCost(sql, chat, 1.25, "claude-opus-5-5", now - 86_400_000);
    if (chat) countCost(sql, chat, 1.75, "claude-opus-5-5", now);
    for (let at = 0; at <= 200; at += 1) {
      const readings = someReadings(at === 0 ? {} : { contextFill: at / 200 }, now);
      const level = at % 2 === 0 ? "safe" : "warning";
      record(sql, now - (200 - at) * 15_000, ids.alive, readings, { score: 0.3, level, reasons: [] });
    }
    const message = { kind: "message", id: 1, from: "c9", fromName: "Builder", topic: "build" } as const;
    news.add(sql, now - hour, ids.alive, "m1", { ...message, text: `red \u001b[31m${"x".repeat(3_000)}` });
    news.add(sql, now, ids.dead, "n1", { kind: "notice", text: "the leader has changed" });
  });
  const { call } = await signedIn(home);
  expect((await call("page.fleet")).value).toMatchObject({
    notices: [
      "the store was damaged",
      "Nothing is stored for any project: paused.",
      "Nothing is stored for /elsewhere for another 2 h: paused.",
    ],
    costUsdToday: 0.5,
    rows: [{ id: ids.alive, costUsdToday: 0.5 }, ...Array.from({ length: 3 }, () => ({ costUsdToday: null }))],
  });
  // Every second of the 200 with a reading, up to the newest.
  const context = Array.from({ length: 100 }, (_, n) => ({ ageMs: (198 - 2 * n) * 15_000, share: (n + 1) / 100 }));
  const page = (await call("page.session", { session: ids.alive })).value;
  expect(page).toMatchObject({ context, costUsdByDay: [0, 0, 0, 0, 0, 1.25, 0.5] });
  expect((await call("page.session", { session: ids.dead })).value).toMatchObject({ context: [], costUsdByDay: null });
  const common = { isDelivered: false, status: "not shown yet" };
  const notice = { kind: "notice", ageMs: 0, from: null, to: ids.dead, toTitle: "work of bbbb" };
  const message = { kind: "message", ageMs: hour, from: "Builder", topic: "build", to: ids.alive };
  const text = `red ${"x".repeat(1_996)}`;
  expect((await call("page.messages")).value["messages"]).toMatchObject([
    { ...common, ...notice, text: "the leader has changed" },
    { ...common, ...message, text },
  ]);
});

it("a session at its usage limit says how to go on, or what the rule of its folder does and what that has cost", async () => {
  const home = aSeededHome();
  const { runtime, project } = home;
  const { call } = await signedIn(home);
  const codex = "dddd5555-0000-4000-8000-000000000005";
  addSession(home, { id: codex, client: "codex", pid: 100 });
  const note = async (session: string = ids.alive) => (await call("page.session", { session })).value["atLimit"];
  expect(await note()).toBeNull();
  runtime.store.write((sql) => {
    const failure = { kind: "failure", text: "no", limit: { resetsAtMs: null } } as const;
    for (const id of [ids.alive, codex]) journal.append(sql, id, home.now, "f", failure);
  });
  const noRule = "At its usage limit: no rule of this folder (`atLimit`) says to go on.";
  expect([await note(), await note(codex)]).toEqual([
    { text: noRule, project: null },
    { text: "At its usage limit.", project: null },
  ]);
  writeFileSync(join(home.folder, "path", "gemini"), "", { mode: 0o755 });
  const goOn = "At its usage limit. Go on now: `shim resume dddd5555 --in gemini`";
  expect(await note(codex)).toEqual({ text: goOn, project: null });
  const outer = { folder: home.folder, order: ["wait" as const], mostUsd: null, mostHours: 1 };
  const order = [{ model: "haiku" }, { client: "codex" }, "wait" as const];
  Object.assign(runtime.config, { atLimit: [outer, { folder: project, order, mostUsd: 5, mostHours: 8 }] });
  const rule = `At its usage limit. The rule of ${project}: Claude Code with the model haiku, then Codex, then wait`;
  const says = (spent: string) => ({ text: `${rule}; at most 5.00 USD and 8 h; ${spent}.`, project });
  expect(await note()).toEqual(says("0.00 USD spent for this limit so far"));
  const handOver = (from: string, by: string): void =>
    runtime.store.write((sql) => {
      recoveries.add(sql, { at: home.now, session: from, action: "taken", by, limit: { to: "Codex", usd: null } });
      const chat = sessions.get(sql, by);
      if (chat) countCost(sql, chat, 0.5, "claude-opus-5-5", home.now);
    });
  handOver(ids.alive, ids.dead);
  handOver(ids.dead, ids.finished);
  expect(await note()).toEqual(says("1.00 USD spent for this limit so far"));
  handOver(ids.finished, "not-of-shim");
  expect(await note()).toEqual(says("what was spent for this limit is unknown"));
  Object.assign(runtime.config, { atLimit: [outer] });
  expect(await note()).toMatchObject({ text: holding(`The rule of ${home.folder}: wait; at most 1 h; `) });
});
