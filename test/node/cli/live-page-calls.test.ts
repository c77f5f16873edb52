import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { AuditEntry } from "#src/contract/workspaces.ts";
import type { FleetRow } from "#src/contract/machine/page.ts";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import * as news from "#src/machine/sessions/news.ts";
import type { News } from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { pause } from "#src/store/pause.ts";
import { StoreError } from "#src/store/store-error.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { aSeededHome, ids, withRuntime, type CliHome } from "#harness/machine/cli-home.ts";
import { loseSession, sync, twoCliHomes } from "#harness/machine/cli-machines.ts";
import { callAs, fakeBundle, ownHeaders, servePage, signIn, type ServedPage } from "#harness/web/live-page.ts";
import { seedTeam } from "#harness/web/team-seed.ts";

async function aPage(home: CliHome = aSeededHome()): Promise<ServedPage> {
  fakeBundle(home);
  return servePage(home);
}

it("the fleet has each chat with its figures and ages, and a session its timeline, brief and commands", async () => {
  const page = await aPage();
  const authorization = await signIn(page);
  const { value: fleet } = await callAs(page, authorization, { name: "page.fleet" });
  expect(fleet).toMatchObject({ where: "this machine", trouble: null, notices: [], costUsdToday: null });
  const rows = fleet["rows"] as Record<string, unknown>[];
  expect(rows.map(({ id, state, seenAgeMs }) => [id, state, seenAgeMs])).toEqual([
    [ids.alive, "works", 60_000],
    [ids.dead, "died", 60_000],
    [ids.elsewhere, "died", 60_000],
    [ids.finished, "ended", 60_000],
  ]);
  const session = await callAs(page, authorization, { name: "page.session", input: { session: ids.dead } });
  expect(session.value).toMatchObject({
    row: { id: ids.dead, cause: "killed" },
    isAll: true,
    checkpoints: 1,
    resumeCommand: "shim resume bbbb2222",
    forkCommand: "shim fork bbbb2222 --at",
  });
  expect(session.value["timeline"]).toContainEqual(
    expect.objectContaining({
      source: "journal",
      kind: "prompt",
      text: "user: fix the parser",
      ageMs: 60_000,
      prompt: 1,
    }),
  );
  const brief = await callAs(page, authorization, { name: "recovery.brief", input: { session: ids.dead } });
  expect(brief.value).toMatchObject({
    brief: expect.stringContaining("fix the parser"),
    score: { total: expect.any(Number) },
  });
  for (const name of ["page.session", "recovery.brief", "recovery.dismiss"])
    expect(await callAs(page, authorization, { name, input: { session: "nothing" } })).toMatchObject({ status: 404 });
  const forget = { name: "sessions.forget", input: { target: "nothing" } };
  expect(await callAs(page, authorization, forget)).toMatchObject({ status: 404 });
});

it("dismiss, offer again and forget do what their commands do, and a repeat of a request happens once", async () => {
  const home = aSeededHome();
  const page = await aPage(home);
  const authorization = await signIn(page);
  const input = { session: ids.dead };
  const dismiss = { name: "recovery.dismiss", input, requestId: "r1" };
  expect((await callAs(page, authorization, dismiss)).value).toMatchObject({ session: ids.dead });
  expect((await callAs(page, authorization, { name: "recovery.undo", input, requestId: "r1" })).value).toMatchObject({
    isUndone: true,
  });
  // Sent again by a browser that lost the answer: it must not dismiss the session a second time.
  expect((await callAs(page, authorization, dismiss)).value).toMatchObject({ session: ids.dead });
  const states = async (): Promise<unknown> =>
    ((await home.json("sessions"))["sessions"] as Record<string, unknown>[]).map(({ id, state }) => [id, state]);
  expect(await states()).toContainEqual([ids.dead, "died"]);
  const project = { name: "sessions.forget", input: { target: home.project }, requestId: "r3" };
  expect(await callAs(page, authorization, project)).toMatchObject({ status: 400 });
  const forget = { name: "sessions.forget", input: { target: ids.dead }, requestId: "r2" };
  const [first, second] = await Promise.all([callAs(page, authorization, forget), callAs(page, authorization, forget)]);
  expect(first).toMatchObject({ status: 200, value: { rows: expect.any(Number) } });
  expect(second).toEqual(first);
  expect(JSON.stringify(await states())).not.toContain(ids.dead);
});

it("actions on the team are the audited operations, with the request's id where they take one", async () => {
  const home = aSeededHome();
  const { coordinator, self, dead, running } = seedTeam(home, ids.alive, 100);
  const page = await aPage(home);
  const authorization = await signIn(page);
  const run = (name: string, input: object, requestId = name) =>
    callAs(page, authorization, { name, input, requestId });
  expect(await run("tasks.replay", { task: dead[0] })).toMatchObject({ value: { tasks: [{ state: "queued" }] } });
  expect(await run("tasks.discard", { task: dead[1], reason: "no" })).toMatchObject({ value: { state: "dead" } });
  expect(await run("tasks.cancel", { task: running, reason: "no" })).toMatchObject({ value: { state: "running" } });
  expect(await run("chats.drain", { chat: self.chat })).toMatchObject({ value: { status: "draining" } });
  const release = { resource: "file:p1/src/parser.ts", reason: "stuck" };
  expect(await run("leases.force-release", release)).toMatchObject({ value: { isReleased: true } });
  const { entries } = given(coordinator.call("audit.list", { kind: "lease.forced" }));
  expect(entries).toMatchObject([{ subject: release.resource }]);
  const team = await callAs(page, authorization, { name: "page.fleet" });
  expect(team.value["rows"]).toContainEqual(expect.objectContaining({ id: ids.alive, taskCount: expect.any(Number) }));
});

it("sessions of other machines that died have the command that continues them here, and are pulled at most once a minute @night", async () => {
  const machines = await twoCliHomes(() => undefined);
  const { here, there, server } = machines;
  await loseSession(machines, () => sync(there));
  // No sockets here: all goes over HTTP.
  server.http.refusesWith = 503;
  const page = await aPage(here);
  const authorization = await signIn(page);
  const read = async (): Promise<unknown> => {
    const { value } = await callAs(page, authorization, { name: "page.fleet" });
    return (value["rows"] as FleetRow[]).map(({ id, state, machine, resumeCommand }) => [
      id,
      state,
      machine,
      resumeCommand,
    ]);
  };
  const dead = [ids.dead, "died", "desk", "shim resume bbbb2222"];
  expect(await read()).toEqual([dead]);
  there.runtime.store.write((sql) => sessions.end(sql, there.now, ids.dead, "prompt_input_exit"));
  await sync(there);
  const pulls = (): number => server.http.seen.filter(({ url }) => url.includes("/sync/sessions")).length;
  const before = pulls();
  expect([await read(), pulls()]).toEqual([[dead], before]);
  here.now += 60_000;
  expect([await read(), pulls()]).toEqual([[], before + 1]);
});

it("what the page and the command line do to sessions is in one list with the team's log, once each, without the content", async () => {
  const home = aSeededHome();
  const { coordinator, self } = seedTeam(home, ids.alive, 100);
  const page = await aPage(home);
  const authorization = await signIn(page);
  const input = { session: ids.dead };
  const listed = async (kind?: string): Promise<unknown> => {
    const { value } = await callAs(page, authorization, {
      name: "page.audit",
      input: kind === undefined ? {} : { kind },
    });
    return (value["entries"] as AuditEntry[]).map(({ kind: one, subject, actor, detail }) => [
      one,
      subject,
      actor,
      detail,
    ]);
  };
  for (const name of ["recovery.dismiss", "recovery.dismiss", "recovery.undo"])
    await callAs(page, authorization, { name, input, requestId: "r1" });
  home.now += 1_000;
  expect((await home.shim("resume --dismiss", ids.dead)).code).toBe(0);
  expect((await home.shim("resume --undo", ids.elsewhere)).code).toBe(1);
  home.now += 1_000;
  await callAs(page, authorization, { name: "sessions.forget", input: { target: ids.dead }, requestId: "r2" });
  expect((await home.shim("forget --yes", ids.elsewhere)).code).toBe(0);
  const rows = { result: "done", rows: expect.any(Number) };
  const [dead, elsewhere] = [ids.dead.slice(0, 8), ids.elsewhere.slice(0, 8)];
  expect(await listed("session.forgotten")).toEqual([
    ["session.forgotten", elsewhere, "command line", rows],
    ["session.forgotten", dead, "live page", rows],
  ]);
  expect(await listed("session.dismissed")).toEqual([
    ["session.dismissed", dead, "command line", { result: "done" }],
    ["session.dismissed", dead, "live page", { result: "done" }],
  ]);
  expect(await listed("session.offered-again")).toEqual([
    ["session.offered-again", elsewhere, "command line", { result: "nothing_to_undo" }],
    ["session.offered-again", dead, "live page", { result: "done" }],
  ]);
  given(coordinator.call("chats.drain", { chat: self.chat }));
  expect(await listed()).toContainEqual(["chat.registered", self.chat, expect.any(String), expect.anything()]);
  const text = JSON.stringify(home.runtime.store.read((sql) => sql.all("SELECT * FROM audit"), []));
  expect(text).not.toContain(ids.dead);
  expect(text).not.toContain("parser");
});

it("the log is bounded, and the newest entries come first", () => {
  const home = aSeededHome();
  const record = (session: string): void =>
    audit.record(home.runtime, { kind: "session.dismissed", session, by: "live page", result: "done" });
  record("first");
  home.runtime.store.write((sql) => sql.run("UPDATE audit SET seq = 1"));
  home.runtime.store.write((sql) =>
    sql.run("INSERT INTO audit SELECT 20000, at, kind, 'other', actor, result, rows FROM audit"),
  );
  record("second");
  record("third");
  expect(audit.listNewest(home.runtime, 10).map(({ subject }) => subject)).toEqual(["third", "second", "other"]);
  expect(audit.listNewest(home.runtime, 1)).toHaveLength(1);
});

it("where the workspace's coordinator cannot be used, the sessions of this machine are shown with the reason", async () => {
  const home = aSeededHome();
  const page = await aPage(home);
  writeFileSync(join(home.paths.home, "edge.json"), "{");
  const authorization = await signIn(page);
  const { value } = await callAs(page, authorization, { name: "page.fleet" });
  expect(value).toMatchObject({ trouble: expect.stringContaining("edge.json"), rows: { length: 4 } });
  const { value: log } = await callAs(page, authorization, { name: "page.audit" });
  expect(log).toEqual({ entries: [], trouble: expect.stringContaining("edge.json") });
  const replay = { name: "tasks.replay", input: { task: 1 }, requestId: "r1" };
  expect(await callAs(page, authorization, replay)).toMatchObject({ status: 503 });
  rmSync(join(home.paths.home, "edge.json"));
  // A request that has failed may be sent again.
  expect(await callAs(page, authorization, replay)).toMatchObject({
    status: 404,
    value: { error: { code: "unknown_task" } },
  });
});

it("an open page hears of each commit of any process, at most once a second, and nothing while nothing changes @night", async () => {
  const home = aSeededHome();
  const page = await aPage(home);
  const authorization = await signIn(page);
  await callAs(page, authorization, { name: "page.fleet" });
  const response = await fetch(`${page.origin}/api/live`, {
    method: "POST",
    headers: ownHeaders(page, { authorization }),
    body: "{}",
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const next = async (): Promise<unknown> => JSON.parse((await reader?.read())?.value ?? "");
  expect(await next()).toEqual({ changed: "all" });
  for (let times = 0; times < 5; times++)
    home.runtime.store.write((sql) => sessions.rename(sql, ids.alive, `t${times}`));
  expect(await next()).toEqual({ changed: "sessions" });
  home.coordinator().call("state.set", { key: "k", value: 1 });
  expect(await next()).toEqual({ changed: "team" });
  await reader?.cancel();
});

it("messages and other notifications of this machine's chats are listed newest first, and whether they were shown", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    const message = { kind: "message", id: 1, from: "c2", fromName: "Ann\u202E", topic: "build.web" } as const;
    const all: News[] = [
      { ...message, text: "hello \u001B[31mred" },
      { kind: "claim_lost", task: 1, title: "build", reason: "silent" },
      { kind: "task_cancelled", task: 2, title: "lint", reason: "no" },
      { kind: "task_available", task: 3, title: "test" },
      { kind: "report_refused", task: 4, reason: "late" },
      { kind: "leader_changed", name: "deploy", leader: null, isSelf: false },
      { kind: "offer", session: "s9", machine: "laptop", brief: "SHIM: the brief" },
      { kind: "continued_elsewhere", session: ids.alive, by: "c3", machine: "laptop" },
      { kind: "notice", text: "the disk is full" },
    ];
    all.forEach((one, at) => news.add(sql, home.now - 1_000, ids.alive, `k${at}`, one));
    news.markDelivered(sql, home.now, news.undelivered(sql, ids.alive, 1));
  });
  const page = await aPage(home);
  const { value } = await callAs(page, await signIn(page), { name: "page.messages" });
  const messages = value["messages"] as Record<string, unknown>[];
  expect(messages.at(-1)).toMatchObject({
    kind: "message",
    text: "hello red",
    topic: "build.web",
    to: ids.alive,
    ageMs: 1_000,
    isDelivered: true,
  });
  expect(messages.map(({ text }) => text)).toMatchObject([
    "the disk is full",
    expect.stringMatching(/^session aaaa1111\S* is worked on by chat c3 on laptop now$/),
    "session s9 of laptop died unfinished",
    "deploy is led by nobody now",
    "the report on task 4 was rejected: late",
    'task 3 ("test"), of a type that this chat asked for, can be taken now: shim_next',
    'task 2 ("lint") was cancelled: no',
    'task 1 ("build") is no longer this chat\'s: silent',
    "hello red",
  ]);
  expect(messages[0]).toMatchObject({ isDelivered: false, from: null });
});

it("a store that is busy is a refusal of the call; a bug is answered with 500, and the terminal has the reason", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  let problem: Error = new StoreError("store_locked", "another process is writing");
  let err = "";
  const stderr = (text: string): void => void (err += text);
  const page = await servePage(home, { io: { stderr, ...withRuntime(home.runtime) } });
  const authorization = await signIn(page);
  vi.spyOn(home.runtime.store, "read").mockImplementation(() => {
    throw problem;
  });
  const call = { name: "page.messages" };
  const busy = { error: { code: "store_locked", message: "another process is writing" } };
  expect(await callAs(page, authorization, call)).toEqual({ status: 503, value: busy });
  problem = new TypeError("a bug");
  expect(await callAs(page, authorization, call)).toMatchObject({
    status: 500,
    value: { error: { code: "internal" } },
  });
  expect(err).toContain("a bug");
});

it("the fleet names what is paused, and what today costs", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    pause(sql, home.now, null, null);
    sql.run(
      "INSERT INTO usage_costs (session, model, day, task, claim, costMicros, at) VALUES (?, 'm', ?, 0, 0, 1500000, ?)",
      ids.alive,
      new Date(home.now).toISOString().slice(0, 10),
      home.now,
    );
  });
  const page = await aPage(home);
  const { value } = await callAs(page, await signIn(page), { name: "page.fleet" });
  expect(value).toMatchObject({ notices: [expect.stringContaining("paused")], costUsdToday: 1.5 });
  expect(value["rows"]).toContainEqual(expect.objectContaining({ id: ids.alive, costUsdToday: 1.5 }));
});
