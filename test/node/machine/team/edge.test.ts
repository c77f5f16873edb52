import { version } from "#src/contract/version.ts";
import { rmSync, writeFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { writeEdgeConfig, edgeConfigPath } from "#src/coordinator-client/edge-config.ts";
import { addKey, createKey } from "#src/machine/sharing/key-ring.ts";
import * as news from "#src/machine/sessions/news.ts";
import { StoreError } from "#src/store/store-error.ts";
import { rowCount } from "#harness/machine/claude.ts";
import { edgeUrl, token } from "#harness/edge/fake-edge.ts";
import type { Answer } from "#harness/machine/mcp-client.ts";
import { TeamRig, type TeamChat, twoChats } from "#harness/team/team-rig.ts";

const edgeOf = { url: edgeUrl, workspace: "w1" };

/** Two chats at an edge. */
async function atEdge(hasKey = true) {
  const rig = new TeamRig();
  const { home } = rig.base.paths;
  writeEdgeConfig(home, { ...edgeOf, machine: "m1", token });
  const key = createKey(() => new Uint8Array(32).fill(7));
  if (hasKey) addKey(home, edgeOf, key);
  const [one, other] = [await rig.chat("plan the secret thing"), await rig.chat("build it")];
  for (const chat of [one, other]) await rig.time.until(chat.tick());
  /** Lets time pass until it is answered. */
  const ask = (chat: TeamChat, tool: string, input?: Record<string, unknown>): Promise<Answer> =>
    rig.time.until(chat.ask(tool, input));
  /** The network goes. */
  const cut = (): void => {
    rig.edge.faults.isUnreachable = true;
    for (const connection of rig.edge.connections) connection.close(1006, "cut");
  };
  /** The network is there again, and what was kept is sent. */
  const mend = async (): Promise<void> => {
    rig.edge.faults.isUnreachable = false;
    await rig.time.untilTrue(() => rowCount(rig.base, "team_calls") === 0);
  };
  const sent = (): string[] =>
    rig.edge.arrived.map(({ name }) => name).filter((name) => /^tasks\.n?ack$|send|submit/.test(name));
  return { rig, one, other, ask, cut, mend, sent };
}

function undelivered({ runtime, claude }: TeamChat): news.News[] {
  return runtime.store.read((sql) => news.undelivered(sql, claude.session, 100), []).map((row) => row.news);
}

it("at an edge chats work together, and it sees of their folder only hashes and an envelope", async () => {
  const { rig, one, other, ask } = await atEdge();
  await ask(one, "shim_submit", { tasks: [{ type: "a", payload: 1 }] });
  const notes = { goal: "a goal of mine", nextStep: "in the file src/hidden.ts" };
  const saved = await ask(other, "shim_force_checkpoint", notes);
  await ask(other, "shim_next");
  await ask(other, "shim_report", { outcome: "progress", note: "half" });
  const { output } = await ask(one, "shim_chats");
  expect(output["chats"]).toMatchObject([
    { name: "plan the secret thing", machine: "m1", isSelf: true },
    { name: "build it", machine: "m1", tasks: [{ task: 1, note: "half" }] },
  ]);
  const seen = JSON.stringify(rig.edge.arrived);
  expect(seen).toContain(String(saved.output["checkpoint"]));
  for (const hidden of ["secret thing", "a goal of mine", "hidden.ts", rig.project]) expect(seen).not.toContain(hidden);
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
  expect(undelivered(other)).toEqual([]);
});

it("what is said in an hour without network is kept, and takes effect once, in its order @night", async () => {
  const { rig, one, other, ask, cut, mend, sent } = await atEdge();
  cut();
  const before = sent().length;
  for (const text of ["first", "second"])
    expect((await ask(other, "shim_send", { to: one.claude.session, text })).output).toMatchObject({ state: "kept" });
  await ask(other, "shim_submit", { tasks: [{ type: "b" }] });
  expect((await ask(other, "shim_inbox")).output).toMatchObject({ isComplete: false });
  await rig.time.pass(3_600_000);
  expect(sent()).toHaveLength(before);
  await mend();
  expect(sent().slice(before)).toEqual(["messages.send", "messages.send", "tasks.submit"]);
  expect(await rig.edge.host.call("tasks.progress", {})).toMatchObject({ value: { totalTasks: 1 } });
  // The other chat is connected again by then.
  await rig.time.pass(60_000);
  expect(await rig.time.until(one.news())).toMatchObject([{ text: "first" }, { text: "second" }]);
  const text = expect.stringMatching(/coordinator.*: 1\.$/) as string;
  expect(undelivered(other)).toMatchObject([{ kind: "notice", text }]);
});

it("a client that was killed is attested dead: its task and its files are free at once", async () => {
  const { rig, one, other, ask } = await atEdge();
  const files = { action: "reserve", paths: ["a.ts"] };
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

it("what a chat had kept when its process died is sent for it by the next one of the machine", async () => {
  const { rig, one, other, ask, cut } = await atEdge();
  cut();
  await ask(one, "shim_send", { to: other.claude.session, text: "my last words" });
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

/** From now on the chat's store takes nothing. @returns it does again */
function fillDisk({ runtime: { store } }: TeamChat): () => void {
  const spies = (["write", "read"] as const).map((name) => vi.spyOn(store, name).mockImplementation(fail));
  return () => spies.forEach((spy) => spy.mockRestore());
}

it("a store that takes nothing for a while ends no process: what was received meanwhile is reported later", async () => {
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
