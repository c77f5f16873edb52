import { rmSync, writeFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { writeEdgeConfig, edgeConfigPath } from "#src/coordinator-client/edge-config.ts";
import { addKey } from "#src/local-mcp/sync/key-ring.ts";
import { createKey } from "#src/local-mcp/sync/workspace-key.ts";
import * as news from "#src/local-mcp/sessions/news.ts";
import { StoreError } from "#src/store/store-error.ts";
import { rowCount } from "#harness/machine/claude.ts";
import { edgeUrl, token } from "#harness/edge/fake-edge.ts";
import type { Answer } from "#harness/machine/mcp-client.ts";
import { TeamRig, type TeamChat, twoChats } from "#harness/team/team-rig.ts";

const place = { url: edgeUrl, workspace: "w1" };

interface AtEdge {
  readonly rig: TeamRig;
  readonly one: TeamChat;
  readonly other: TeamChat;
  /** Lets time pass until it is answered. */
  readonly ask: (chat: TeamChat, tool: string, input?: Record<string, unknown>) => Promise<Answer>;
}

async function atEdge(hasKey = true): Promise<AtEdge> {
  const rig = new TeamRig();
  writeEdgeConfig(rig.base.paths.home, { ...place, machine: "m1", token });
  if (hasKey)
    addKey(
      rig.base.paths.home,
      place,
      createKey(() => new Uint8Array(32).fill(7)),
    );
  const [one, other] = [await rig.chat("plan the secret thing"), await rig.chat("build it")];
  await rig.time.until(one.tick());
  await rig.time.until(other.tick());
  const ask: AtEdge["ask"] = (chat, tool, input) => rig.time.until(chat.ask(tool, input));
  return { rig, one, other, ask };
}

function undelivered({ runtime, claude }: TeamChat): news.News[] {
  return runtime.store.read((sql) => news.undelivered(sql, claude.session, 100), []).map((row) => row.news);
}

it("[TE1] [TE10] at an edge chats work together, and it sees of their place only hashes and an envelope", async () => {
  const { rig, one, other, ask } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a", payload: 1 }] });
  const saved = await ask(other, "shim_force_checkpoint", {
    goal: "a goal of mine",
    nextStep: "in the file src/hidden.ts",
  });
  await ask(other, "shim_next");
  await ask(other, "shim_report", { outcome: "progress", note: "half" });
  const chats = await ask(one, "shim_chats");
  expect(chats.output["chats"]).toMatchObject([
    { name: "plan the secret thing", machine: "m1", isSelf: true },
    { name: "build it", machine: "m1", tasks: [{ task: 1, note: "half" }] },
  ]);
  const seen = JSON.stringify(rig.edge.arrived);
  expect(seen).toContain(String(saved.output["checkpoint"]));
  for (const hidden of ["secret thing", "a goal of mine", "hidden.ts", rig.project]) expect(seen).not.toContain(hidden);
  const register = rig.edge.arrived.find(({ name }) => name === "chats.register")?.input;
  expect(register?.["metadata"]).toEqual({
    project: "p1",
    checkout: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    card: expect.stringMatching(/^[\w-]{50,}$/) as string,
  });
});

it("[TE10] without the workspace's key an edge is told nothing of a chat's place, and files cannot be reserved", async () => {
  const { rig, one } = await atEdge(false);
  const register = rig.edge.arrived.find(({ name }) => name === "chats.register")?.input;
  expect(register?.["metadata"]).toEqual({});
  const refused = await rig.time.until(one.call("shim_files", { action: "reserve", paths: ["a.ts"] }));
  expect(refused).toMatchObject({ isError: true, text: expect.stringMatching(/^no_key: .*shim edge join/) as string });
});

/** The network goes. */
function cut({ edge }: TeamRig): void {
  edge.faults.isUnreachable = true;
  for (const connection of edge.connections) connection.close(1006, "cut");
}

function saidTo({ edge }: TeamRig): string[] {
  return edge.arrived.map(({ name }) => name).filter((name) => /^tasks\.n?ack$|send|submit/.test(name));
}

it("[TE6] a report that is made without network counts once, also when its first answer is lost", async () => {
  const { rig, one, other, ask } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a" }] });
  await ask(other, "shim_next");
  cut(rig);
  const before = saidTo(rig).length;
  const done = await ask(other, "shim_report", { outcome: "done", result: "made" });
  expect(done.text).toBe("Kept: the report on task 1 will be sent once, when the coordinator answers again. Continue.");
  expect(rowCount(rig.base, "team_calls")).toBe(1);
  let lost = 0;
  rig.edge.faults.loses = ({ direction, text }) =>
    direction === "down" && text.includes('"state":"done"') && lost++ === 0;
  rig.edge.faults.isUnreachable = false;
  await rig.time.untilTrue(() => rowCount(rig.base, "team_calls") === 0);
  expect(lost).toBeGreaterThan(0);
  expect(saidTo(rig).slice(before)).toEqual(["tasks.ack", "tasks.ack"]);
  const found = await rig.edge.host.call("tasks.get", { task: 1 });
  expect(found).toMatchObject({ value: { state: "done", result: "made" } });
  expect(undelivered(other)).toEqual([]);
});

it("[TE6] what is said in an hour without network is kept, and takes effect once, in its order", async () => {
  const { rig, one, other, ask } = await atEdge();
  cut(rig);
  const before = saidTo(rig).length;
  for (const text of ["first", "second"]) {
    const sent = await ask(other, "shim_send", { to: one.claude.session, text });
    expect(sent.output).toMatchObject({ state: "kept" });
  }
  await ask(other, "shim_submit", { tasks: [{ type: "b" }] });
  expect(await ask(other, "shim_inbox")).toMatchObject({ output: { isComplete: false } });
  await rig.time.pass(3_600_000);
  expect(saidTo(rig)).toHaveLength(before);
  rig.edge.faults.isUnreachable = false;
  await rig.time.untilTrue(() => rowCount(rig.base, "team_calls") === 0);
  expect(saidTo(rig).slice(before)).toEqual(["messages.send", "messages.send", "tasks.submit"]);
  expect(await rig.edge.host.call("tasks.progress", {})).toMatchObject({ value: { totalTasks: 1 } });
  const { output } = await ask(one, "shim_inbox");
  expect(output["news"]).toMatchObject([{ text: "first" }, { text: "second" }]);
  expect(undelivered(other)).toMatchObject([
    { kind: "notice", text: expect.stringMatching(/coordinator.*: 1\.$/) as string },
  ]);
});

it("[TE5] [TE7] a report that comes too late is told to the chat, and so is the claim that was lost meanwhile", async () => {
  const { rig, one, other, ask } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a" }, { type: "b" }] });
  await ask(other, "shim_next");
  await ask(one, "shim_next");
  cut(rig);
  await ask(other, "shim_report", { outcome: "done" });
  await rig.time.pass(3_600_000);
  rig.edge.faults.isUnreachable = false;
  await rig.time.untilTrue(() => rowCount(rig.base, "team_calls") === 0);
  // A chat that did nothing in all that time has not asked either.
  one.claude.use("Bash", { command: "ls" });
  await rig.time.pass(60_000);
  expect(undelivered(other)).toMatchObject([{ kind: "report_refused", task: 1 }]);
  expect(undelivered(one)).toMatchObject([{ kind: "claim_lost", task: 2 }]);
});

it("[TE42] a client that was killed is attested dead: its task and its files are free at once", async () => {
  const { rig, one, other, ask } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a" }] });
  await ask(one, "shim_next");
  await ask(one, "shim_files", { action: "reserve", paths: ["a.ts"] });
  await ask(one, "shim_force_checkpoint", { goal: "the last thing" });
  one.claude.kill();
  await rig.time.until(one.team.end("client_gone"));
  await ask(other, "shim_files", { action: "reserve", paths: ["a.ts"] });
  expect(await ask(other, "shim_next")).toMatchObject({
    output: { task: { task: 1, checkpoint: { session: one.claude.session } } },
  });
});

it("[TE15] what a chat had kept when its process died is said for it by the next one of the machine", async () => {
  const { rig, one, other, ask } = await atEdge();
  cut(rig);
  await ask(one, "shim_send", { to: other.claude.session, text: "my last words" });
  one.claude.kill();
  await rig.time.until(one.team.end("client_gone"));
  rig.edge.faults.isUnreachable = false;
  await rig.time.pass(60_000);
  expect(rowCount(rig.base, "team_calls")).toBe(1);
  await rig.time.until(other.tick());
  expect(rowCount(rig.base, "team_calls")).toBe(0);
  expect(rowCount(rig.base, "team_chats")).toBe(1);
  expect((await ask(other, "shim_inbox")).output["news"]).toMatchObject([
    { kind: "message", from: one.claude.session, text: "my last words" },
  ]);
});

it("[TE13] the hooks' table follows an edge, also over a lost connection", async () => {
  const { rig, one, other, ask } = await atEdge();
  const files = (): string[] =>
    rig.base.store
      .read((sql) => sql.all<{ resource: string }>("SELECT resource FROM team_files"), [])
      .map((row) => row.resource);
  await ask(one, "shim_files", { action: "reserve", paths: ["a.ts"] });
  rig.base.store.write((sql) => sql.run("DELETE FROM team_files"));
  await rig.edge.host.call("leases.force-release", { resource: "file:p1/a.ts", reason: "x" });
  const self = await rig.edge.host.call("chats.get", { chat: other.claude.session });
  const incarnation = self.ok ? self.value.incarnation : 0;
  for (const connection of rig.edge.connections) connection.close(1006, "cut");
  const taken = {
    self: { chat: other.claude.session, incarnation },
    resource: "file:p1/b.ts",
    requestId: "r",
    isBound: true,
  };
  await rig.edge.host.call("leases.acquire", taken);
  await rig.time.untilTrue(() => files().length > 0);
  expect(files()).toEqual(["file:p1/b.ts"]);
});

it("[TE1] a title that is known while nobody can be reached is told later, and the chat is registered again", async () => {
  const { rig, one } = await atEdge();
  cut(rig);
  rig.base.store.write((sql) =>
    sql.run("UPDATE sessions SET title = 'another title' WHERE id = ?", one.claude.session),
  );
  await rig.time.until(one.tick());
  expect(one.team.reader()?.link.self).toBeNull();
  rig.edge.faults.isUnreachable = false;
  await rig.time.until(one.tick());
  await rig.time.pass(1_000);
  const found = await rig.edge.host.call("chats.get", { chat: one.claude.session });
  expect(found).toMatchObject({ value: { isConnected: true } });
  const chats = await rig.time.until(one.ask("shim_chats"));
  expect(chats.output["chats"]).toMatchObject([{ name: "another title", isSelf: true }, {}]);
});

it("[TE1] an edge that the environment names is the team's, where nothing else is set up", async () => {
  const rig = new TeamRig();
  const env = { SHIM_EDGE_URL: edgeUrl, SHIM_WORKSPACE: "w1", SHIM_TOKEN: token, SHIM_MACHINE: "m1" };
  const one = await rig.chat("plan it", { env });
  await rig.time.until(one.tick());
  expect(rig.edge.count("chats.register")).toBe(1);
});

function fail(): never {
  throw new StoreError("store_full", "the disk is full");
}

/** From now on the chat's store takes nothing. @returns it does again */
function fillDisk({ runtime: { store } }: TeamChat): () => void {
  const spies = [vi.spyOn(store, "write").mockImplementation(fail), vi.spyOn(store, "read").mockImplementation(fail)];
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}

it("[TE21] a store that takes nothing for a while ends no process: what was heard meanwhile is told later", async () => {
  const { rig, one, other } = await twoChats();
  await other.ask("shim_files", { action: "reserve", paths: ["a.ts"] });
  await other.ask("shim_submit", { tasks: [{ type: "build" }] });
  await other.ask("shim_next");
  const self = { chat: one.claude.session, incarnation: 1 };
  const heal = fillDisk(other);
  rig.call("elections.campaign", { self, name: "deploy", requestId: "r1" });
  rig.call("leases.force-release", { resource: "file:p1/a.ts", reason: "stuck" });
  await rig.time.pass(60_000);
  heal();
  await rig.time.pass(30_000);
  const told = ((await other.ask("shim_inbox")).output["news"] as { kind: string }[]).map(({ kind }) => kind);
  expect(told).toEqual(expect.arrayContaining(["claim_lost", "leader_changed", "notice"]));
});

it("[TE21] a chat that was registered while the store took nothing hears its messages later", async () => {
  const rig = new TeamRig();
  const [one, other] = [await rig.chat("plan it"), await rig.chat("build it")];
  await one.tick();
  const write = vi.spyOn(other.runtime.store, "write").mockImplementation(fail);
  await other.tick();
  await rig.time.pass(30_000);
  write.mockRestore();
  await rig.time.pass(30_000);
  await one.ask("shim_send", { to: other.claude.session, text: "hello" });
  await rig.time.pass(1_000);
  expect(rowCount(rig.base, "team_news")).toBe(1);
});

it("[TE21] an edge.json that cannot be used is logged once, named to the chat by its tools, and used when it is repaired", async () => {
  const rig = new TeamRig();
  const one = await rig.chat("plan it");
  const file = edgeConfigPath(rig.base.paths.home);
  writeFileSync(file, "{");
  const before = one.runtime.logged.length;
  for (let ticks = 0; ticks < 5; ticks++) await one.tick();
  expect(one.runtime.logged.slice(before)).toEqual([expect.stringContaining("edge.json")]);
  expect(await one.call("shim_chats")).toMatchObject({
    isError: true,
    text: expect.stringContaining("edge.json") as string,
  });
  rmSync(file);
  await one.tick();
  expect((await one.ask("shim_chats")).isError).toBe(false);
});
