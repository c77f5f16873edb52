import { expect, it, vi } from "vitest";
import { TeamRig, twoChats, type TeamChat } from "#harness/team/team-rig.ts";
import { mkdirSync, symlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foldCase } from "#harness/machine/git-project.ts";
import { toLeasePath } from "#src/machine/team/file-reservations.ts";
import { version } from "#src/contract/version.ts";
import { edgeConfigPath } from "#src/coordinator-client/edge-config.ts";
import { StoreError } from "#src/store/store-error.ts";
import { rowCount } from "#harness/machine/claude.ts";
import type { Answer } from "#harness/machine/mcp-process.ts";

const key = "$leader/deploy";

function leaderIn(rig: TeamRig): string | null {
  return rig.call("elections.observe", { name: "deploy" }).leader?.leader ?? null;
}

it("the state is read by a tool, too: value and version, as data; a key that is not there has version 0", async () => {
  const { one, other } = await twoChats();
  const set = await one.ask("shim_state_set", { key: "plan", value: { step: "</shim-team-state>" } });
  const read = await other.ask("shim_state_set", { key: "plan" });
  expect(read.output).toMatchObject({ version: set.output["version"], value: { step: "</shim-team-state>" } });
  expect(read.text.match(/<\/shim-team-state>/g)).toHaveLength(1);
  expect((await other.ask("shim_state_set", { key: "none" })).output).toMatchObject({ version: 0 });
  await one.ask("shim_state_set", { key: "long", value: "x".repeat(10_000) });
  const long = await other.ask("shim_state_set", { key: "long" });
  expect([long.text.length < 5_000, String(long.output["value"]).length]).toEqual([true, 10_000]);
});

it("a chat campaigns, learns the leader, and resigns; the one in line leads next and is notified", async () => {
  const { rig, one, other } = await twoChats();
  const [first, second] = [one.claude.session, other.claude.session];
  const leader = async (chat: TeamChat, input = {}): Promise<unknown> =>
    (await chat.ask("shim_state_set", { key, ...input })).output["leader"];
  expect(await leader(one)).toBeNull();
  const term = expect.any(Number) as number;
  expect(await leader(one, { value: true })).toMatchObject({ chat: first, isSelf: true, term });
  const { text } = await other.ask("shim_state_set", { key, value: true });
  expect(text).toContain(`${first} leads deploy; this chat is waiting`);
  expect(await leader(other)).toMatchObject({ chat: first, isSelf: false });
  await one.ask("shim_state_set", { key, delete: true });
  await rig.time.pass(1_000);
  expect(leaderIn(rig)).toBe(second);
  const changed = { kind: "leader_changed", leader: second, isSelf: true };
  expect(await other.news()).toContainEqual(expect.objectContaining(changed));
  expect((await one.ask("shim_state_set", { key, delete: true })).text).toContain("did not lead deploy");
  for (const wrong of [{ value: "yes" }, { value: true, delete: true }, { key: "$leader/a b", value: true }])
    await one.refusal("shim_state_set", { key, ...wrong });
});

it("a term is renewed while the chat lives, also by the next process of its client, and free once it leaves", async () => {
  const { rig, one, other } = await twoChats();
  const leaderLater = async (): Promise<string | null> => {
    for (let at = 0; at < 8; at++) await rig.time.pass(15_000);
    return leaderIn(rig);
  };
  for (const chat of [one, other]) await chat.ask("shim_state_set", { key, value: true });
  expect(await leaderLater()).toBe(one.claude.session);
  await one.team.end("goes_on");
  const next = await rig.attach(one.runtime, one.claude, 9_001);
  await next.tick();
  expect(await leaderLater()).toBe(one.claude.session);
  one.claude.end("prompt_input_exit");
  await next.team.end("over");
  expect(leaderIn(rig)).toBe(other.claude.session);
  // Granted while it was in line: it renews what it has not asked for again.
  expect(await leaderLater()).toBe(other.claude.session);
});

const reserve = (...paths: string[]): Record<string, unknown> => ({ action: "reserve", paths });

it("several paths are reserved all or none, the holder of one is named, and what was held before stays", async () => {
  const { one, other } = await twoChats();
  await one.ask("shim_files", reserve("src/**"));
  expect(await other.refusal("shim_files", reserve("b.ts", "src/x.ts"))).toMatch(
    /^lease_held: Nothing was reserved: src\/\*\* is held by 0000.* "plan it" on .*, for \d+ s\. Ask it with shim_send/,
  );
  const { output } = await other.ask("shim_files", { action: "list" });
  expect(output["files"]).toMatchObject([{ path: "src/**" }]);
  await one.ask("shim_files", { action: "release", paths: ["src/**"] });
  const reserved = await other.ask("shim_files", reserve("b.ts", "src/x.ts"));
  expect(reserved.output["files"]).toMatchObject([{ path: "b.ts" }, { path: "src/x.ts" }]);
  await other.ask("shim_files", reserve("b.ts"));
  expect(await other.refusal("shim_files", reserve("b.ts", "src/*"))).toBe(
    "lease_held: This chat already holds src/x.ts, which overlaps. Release it first, then reserve both.",
  );
  expect((await other.ask("shim_files", { action: "release" })).text).toBe("Released: b.ts, src/x.ts.");
});

it("a reservation that is taken away is reported to its holder, not one that it gives back", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_files", reserve("a.ts", "b.ts"));
  await one.ask("shim_files", { action: "release", paths: ["a.ts"] });
  await rig.time.pass(500);
  rig.call("leases.force-release", { resource: "file:p1/b.ts", reason: "stuck" });
  await rig.time.pass(500);
  const text = expect.stringMatching(/^This chat no longer holds b\.ts/) as string;
  expect(await one.news()).toMatchObject([{ kind: "notice", text }]);
});

it("a reservation by a link holds where the link leads, so an edit by either name is refused", async () => {
  const { rig, one, other } = await twoChats();
  mkdirSync(join(rig.project, "src"));
  symlinkSync("src", join(rig.project, "link"));
  symlinkSync(tmpdir(), join(rig.project, "away"));
  const { output } = await one.ask("shim_files", reserve("link/**", "away/b.ts", "new/c.ts"));
  expect(output["files"]).toMatchObject(["src/**", "away/b.ts", "new/c.ts"].map((path) => ({ path })));
  for (const folder of ["link", "src"]) {
    const file_path = join(rig.project, folder, "a.ts");
    const edit = { tool_name: "Edit", tool_input: { file_path }, tool_use_id: folder };
    expect(other.claude.tell("PreToolUse", edit)).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
  }
  expect((await one.ask("shim_files", { action: "release", paths: ["link/**"] })).text).toBe("Released: src/**.");
  for (const folder of ["src", "link/", "new/"])
    await expect(one.ask("shim_files", reserve(folder))).rejects.toThrow(/is a folder; "\w+\/\*\*" reserves what is/);
});

it("where case does not count, who has reserved one name of a file has them all; a name of two forms is one everywhere", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_files", reserve("u\u0308ber.ts"));
  expect(await other.refusal("shim_files", reserve("\u00FCber.ts"))).toMatch(
    /^lease_held: .*: \u00FCber.ts is held by/,
  );
  await one.ask("shim_files", reserve("A.ts", "src/**"));
  await other.ask("shim_files", reserve("a.ts"));
  await other.ask("shim_files", { action: "release" });
  foldCase(rig.project);
  for (const name of ["a.ts", "SRC/b.ts"])
    expect(await other.refusal("shim_files", reserve("c.ts", name))).toMatch(
      /^lease_held: Nothing was reserved: .* is held/,
    );
  expect((await other.ask("shim_files", { action: "list" })).output["files"]).toHaveLength(3);
});

it("where case does not count, two chats that reserve two names of one file at the same moment do not both get it", async () => {
  const { rig, one, other } = await twoChats();
  foldCase(rig.project);
  const asked = [one.ask("shim_files", reserve("d.ts")), other.ask("shim_files", reserve("D.ts", "e.ts"))];
  const got = (await Promise.allSettled(asked)).filter(({ status }) => status === "fulfilled").length;
  const { output } = await one.ask("shim_files", { action: "list" });
  const files = output["files"] as { readonly path: string }[];
  const names = files.filter(({ path }) => /^d/i.test(path));
  expect([got <= 1, names.length]).toEqual([true, got]);
  await rig.time.pass(1_000);
  expect((await one.ask("shim_files", reserve("f.ts"))).output["files"]).toMatchObject([{ path: "f.ts" }]);
  expect(await other.refusal("shim_files", reserve("F.ts"))).toMatch(/^lease_held/);
});

function pathOf(given: string): string | false {
  const read = toLeasePath("/p", given);
  return read.ok && read.value;
}

it("a path is below the root, given relative or absolute, with ranges at its end; any other is refused", () => {
  const same = ["a.ts", "src/*", "src/**", "**"];
  expect(same.map(pathOf)).toEqual(same);
  expect(["./src//a.ts", "src/x/../a.ts", "/p/src/a.ts"].map(pathOf)).toEqual(Array(3).fill("src/a.ts"));
  expect(["src/", "/p/**"].map(pathOf)).toEqual(["src", "**"]);
  const bad = ["..", "../b", "/q/a.ts", ".", "/p", "src/*/a.ts", "src/*.ts", "a\nb", "x".repeat(401)];
  expect(bad.filter((given) => pathOf(given) !== false)).toEqual([]);
});

it("a shim_next that takes nothing says so, and takes none that waits or needs what the chat cannot do", async () => {
  const { rig, one, other } = await twoChats();
  const needs = [{ dependsOn: ["api"] }, { capabilities: ["gpu"] }, { delayMs: 120_000 }];
  const tasks = [{ type: "api", ref: "api" }, ...needs.map((need) => Object.assign(need, { type: "tests" }))];
  rig.call("tasks.submit", { tasks, requestId: "r1" });
  await other.ask("shim_next", { types: ["api"] });
  const none = await one.ask("shim_next", { types: ["tests"] });
  expect(none.output["task"]).toBeNull();
  expect(none.output["message"]).toMatch(/^No task is available\. A notification comes/);
  await other.ask("shim_report", { outcome: "done" });
  expect((await one.ask("shim_next", { types: ["tests"] })).output["task"]).toMatchObject({ task: 2, isNew: true });
});

it("with waitMs it takes the first task that comes within the time, and answers after that", async () => {
  const { rig, one } = await twoChats();
  const asked = one.ask("shim_next", { types: ["tests"], waitMs: 30_000 });
  await rig.time.pass(5_000);
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  const answer = await rig.time.until(asked);
  expect(answer.output["task"]).toMatchObject({ task: 1, isNew: true });
  await one.ask("shim_report", { outcome: "done" });
  const startedAt = rig.time.now;
  const empty = await rig.time.until(one.ask("shim_next", { types: ["tests"], waitMs: 20_000 }));
  expect([empty.output["task"], rig.time.now - startedAt >= 20_000]).toEqual([null, true]);
  await one.refusal("shim_next", { waitMs: 50_001 });
});

it("a chat that asked and got none is notified once when a task is there that it could take", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_next", { types: ["tests"] });
  rig.call("tasks.submit", { tasks: [{ type: "docs" }, { type: "tests", capabilities: ["gpu"] }], requestId: "r1" });
  await rig.time.pass(30_000);
  expect(await one.news()).toEqual([]);
  rig.call("tasks.submit", { tasks: [{ type: "tests" }, { type: "tests" }], requestId: "r2" });
  await rig.time.pass(30_000);
  expect(await one.news()).toMatchObject([{ kind: "task_available", task: 3, title: "tests" }]);
  expect((await other.ask("shim_next", { types: ["tests"] })).output["task"]).toMatchObject({ task: 3 });
  await rig.time.pass(60_000);
  expect([await one.news(), await other.news()]).toEqual([[], []]);
  expect((await one.ask("shim_next", { types: ["tests"] })).output["task"]).toMatchObject({ task: 4 });
});

it("a chat that takes a task is given the commits that it builds on", async () => {
  const { rig, one, other } = await twoChats();
  const built = ["api", "notes"];
  const tasks = [...built.map((type) => ({ type, ref: type })), { type: "tests", dependsOn: built }];
  rig.call("tasks.submit", { tasks, requestId: "r1" });
  const commit = "a".repeat(40);
  const good = { branch: "shim/task-1-x", commit, output: null };
  for (const result of [good, { branch: "; rm -rf", commit: "--evil" }]) {
    await other.ask("shim_next", { types: built });
    await other.ask("shim_report", { outcome: "done", result });
  }
  const { output } = await one.ask("shim_next", { types: ["tests"] });
  expect(output["message"]).toContain(`merge those that this folder lacks before you start (git merge ${commit})`);
});

async function atEdge(hasKey = true) {
  const { rig, one, other } = await twoChats({ hasKey });
  const ask = (chat: TeamChat, tool: string, input?: Record<string, unknown>): Promise<Answer> =>
    rig.time.until(chat.ask(tool, input));
  const cut = (): void => {
    rig.edge.faults.isUnreachable = true;
    for (const connection of rig.edge.connections) connection.close(1006, "cut");
  };
  const mend = async (): Promise<void> => {
    rig.edge.faults.isUnreachable = false;
    await rig.time.untilTrue(() => rowCount(rig.base, "team_calls") === 0);
  };
  const sent = () => rig.edge.arrived.map(({ name }) => name).filter((name) => /^tasks\.n?ack$|send|submit/.test(name));
  return { rig, one, other, ask, cut, mend, sent };
}

it("at an edge chats work together, and it sees of their folder only hashes and an envelope", async () => {
  const { rig, one, other, ask } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a", payload: 1 }] });
  const notes = { goal: "a goal of mine", nextStep: "in the file src/hidden.ts" };
  const saved = await ask(other, "shim_force_checkpoint", notes);
  await ask(other, "shim_next");
  await ask(other, "shim_report", { outcome: "progress", note: "half" });
  const { output, text } = await ask(one, "shim_chats");
  expect(text).toMatch(/^Tasks: 0 waiting, 1 in progress, 0 done, of 1\./);
  const self = { name: "plan it", machine: "m1", isSelf: true };
  const worker = { name: "build it", machine: "m1", tasks: [{ task: 1, note: "half" }] };
  expect(output["chats"]).toMatchObject([self, worker]);
  const seen = JSON.stringify(rig.edge.arrived);
  expect(seen).toContain(String(saved.output["checkpoint"]));
  for (const hidden of ["plan it", "a goal of mine", "hidden.ts", rig.project]) expect(seen).not.toContain(hidden);
  const checkout = expect.stringMatching(/^[0-9a-f]{32}$/) as string;
  const card = expect.stringMatching(/^[\w-]{50,}$/) as string;
  const register = rig.edge.arrived.find(({ name }) => name === "chats.register")?.input;
  expect(register?.["metadata"]).toEqual({ version, project: "p1", checkout, card });
});

it("without the workspace's key an edge receives nothing of a chat's folder, and files cannot be reserved", async () => {
  const { rig, one } = await atEdge(false);
  const register = rig.edge.arrived.find(({ name }) => name === "chats.register")?.input;
  expect(register?.["metadata"]).toEqual({ version });
  const refused = await rig.time.until(one.refusal("shim_files", { action: "reserve", paths: ["a.ts"] }));
  expect(refused).toMatch(/^no_key: .*`shim workspace key set`/);
});

it("a report that is made without network counts once, also when its first answer is lost", async () => {
  const { rig, one, other, ask, cut, mend, sent } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a" }] });
  await ask(other, "shim_next");
  cut();
  const before = sent().length;
  const done = await ask(other, "shim_report", { outcome: "done", result: "made" });
  expect(done.text).toBe("Kept: the report on task 1 will be sent once, when the coordinator answers again. Continue.");
  expect(rowCount(rig.base, "team_calls")).toBe(1);
  let lost = 0;
  rig.edge.faults.loses = ({ direction, text }) =>
    direction === "down" && text.includes('"state":"done"') && lost++ === 0;
  await mend();
  expect(lost).toBeGreaterThan(0);
  expect(sent().slice(before)).toEqual(["tasks.ack", "tasks.ack"]);
  const found = await rig.edge.host.call("tasks.get", { task: 1 });
  expect(found).toMatchObject({ value: { state: "done", result: "made" } });
  expect(await rig.time.until(other.news())).toEqual([]);
});

it("a report that comes after the coordinator gave its task up is refused, and its chat learns of that once", async () => {
  const { rig, one, other, ask, cut, mend } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a" }] });
  await ask(other, "shim_next");
  cut();
  await ask(other, "shim_report", { outcome: "failed", note: "no compiler" });
  await rig.time.pass(300_000);
  expect(await rig.edge.host.call("tasks.get", { task: 1 })).toMatchObject({ value: { state: "queued" } });
  await mend();
  expect(await rig.time.until(other.news())).toMatchObject([{ kind: "report_refused", task: 1 }]);
});

it("a task that the chat takes while it is searched for is not announced to it", async () => {
  const { rig, one, ask } = await atEdge();
  await ask(one, "shim_next", { types: ["tests"] });
  await rig.time.pass(5_000);
  await rig.edge.host.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  const before = rig.edge.count("tasks.list");
  await rig.time.untilTrue(() => rig.edge.count("tasks.list") > before);
  expect((await ask(one, "shim_next", { types: ["tests"] })).output["task"]).toMatchObject({ task: 1 });
  await rig.time.pass(30_000);
  expect(await rig.time.until(one.news())).toEqual([]);
});

it("a renewal without an answer gives up no term", async () => {
  const { rig, one, ask, cut, mend } = await atEdge();
  await ask(one, "shim_state_set", { key, value: true });
  cut();
  await rig.time.pass(25_000);
  await mend();
  await rig.time.pass(60_000);
  const { output } = await ask(one, "shim_state_set", { key });
  expect(output["leader"]).toMatchObject({ isSelf: true });
  expect(JSON.stringify(await rig.time.until(one.news()))).not.toContain("no longer leads");
});

it("what is said without network is kept, and takes effect once, in its order", async () => {
  const { rig, one, other, ask, cut, mend, sent } = await atEdge();
  cut();
  const before = sent().length;
  for (const text of ["first", "second"])
    expect((await ask(other, "shim_send", { to: one.claude.session, text })).output).toMatchObject({ state: "kept" });
  await ask(other, "shim_submit", { tasks: [{ type: "b" }] });
  expect((await ask(other, "shim_inbox")).output).toMatchObject({ isComplete: false });
  await rig.time.pass(120_000);
  expect(sent()).toHaveLength(before);
  await mend();
  expect(sent().slice(before)).toEqual(["messages.send", "messages.send", "tasks.submit"]);
  expect(await rig.edge.host.call("tasks.progress", {})).toMatchObject({ value: { totalTasks: 1 } });
  // The other chat is connected again by then.
  await rig.time.pass(60_000);
  expect(await rig.time.until(one.news())).toMatchObject([{ text: "first" }, { text: "second" }]);
  const text = expect.stringMatching(/coordinator.*: 1\.$/) as string;
  expect(await rig.time.until(other.news())).toMatchObject([{ kind: "notice", text }]);
});

it("a client that was killed is attested dead: its task and its files are free at once", async () => {
  const { rig, one, other, ask } = await atEdge();
  const files = reserve("a.ts");
  await ask(one, "shim_submit", { tasks: [{ type: "a" }] });
  await ask(one, "shim_next");
  await ask(one, "shim_files", files);
  await ask(one, "shim_force_checkpoint", { goal: "the last thing" });
  one.claude.kill();
  await rig.time.until(one.team.end("client_gone"));
  await ask(other, "shim_files", files);
  const { output } = await ask(other, "shim_next");
  expect(output["task"]).toMatchObject({ task: 1, checkpoint: { session: one.claude.session } });
});

it.each(["died", "ended"])("what a chat had kept when it %s is sent for it by the machine's next one", async (how) => {
  const { rig, one, other, ask, cut } = await atEdge();
  cut();
  await ask(one, "shim_send", { to: other.claude.session, text: "my last words" });
  if (how === "ended") one.claude.end("prompt_input_exit");
  one.claude.kill();
  await rig.time.until(one.team.end("client_gone"));
  rig.edge.faults.isUnreachable = false;
  await rig.time.pass(60_000);
  expect(rowCount(rig.base, "team_calls")).toBe(1);
  await rig.time.until(other.tick());
  expect(["team_calls", "team_chats"].map((table) => rowCount(rig.base, table))).toEqual([0, 1]);
  const message = { kind: "message", from: one.claude.session, text: "my last words" };
  expect((await ask(other, "shim_inbox")).output["news"]).toMatchObject([message]);
});

function fail(): never {
  throw new StoreError("store_full", "the disk is full");
}

it("a store that takes nothing for a while ends no process: what was received meanwhile is reported later", async () => {
  const { rig, one, other } = await twoChats();
  await other.ask("shim_files", { action: "reserve", paths: ["a.ts"] });
  await other.ask("shim_submit", { tasks: [{ type: "build" }] });
  await other.ask("shim_next");
  const self = { chat: one.claude.session, incarnation: 1 };
  const spies = (["write", "read"] as const).map((name) => vi.spyOn(other.runtime.store, name));
  for (const spy of spies) spy.mockImplementation(fail);
  rig.call("elections.campaign", { self, name: "deploy", requestId: "r1" });
  rig.call("leases.force-release", { resource: "file:p1/a.ts", reason: "stuck" });
  await rig.time.pass(60_000);
  for (const spy of spies) spy.mockRestore();
  await rig.time.pass(30_000);
  const news = await other.news();
  for (const kind of ["claim_lost", "leader_changed", "notice"])
    expect(news).toContainEqual(expect.objectContaining({ kind }));
});

it("an edge.json that cannot be used is logged once, named to the chat by its tools, and used when it is repaired", async () => {
  const rig = new TeamRig();
  const one = await rig.chat("plan it");
  const file = edgeConfigPath(rig.base.paths.home);
  writeFileSync(file, "{");
  const before = one.runtime.logged.length;
  for (let ticks = 0; ticks < 5; ticks++) await one.tick();
  expect(one.runtime.logged.slice(before)).toEqual([expect.stringContaining("edge.json")]);
  expect(await one.refusal("shim_chats")).toContain("edge.json");
  rmSync(file);
  await one.tick();
  await one.ask("shim_chats");
});
