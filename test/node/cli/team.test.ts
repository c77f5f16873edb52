import { join } from "node:path";
import { expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { aCliHome, addSession, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";
import { failed, filesWith, ids, printed } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { base62, draw } from "#harness/secrets/secret-draw.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { teamConflicts } from "#src/store/team-tables.ts";

type Registration = Partial<InputOf<"chats.register">>;

function register(coordinator: LocalCoordinator, chat: string, pid: number, more: Registration = {}): number {
  const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
  const registered = { chat, session: chat, process, machine: "here", client: "claude-code", ...more };
  return given(coordinator.call("chats.register", registered)).incarnation;
}

/** One chat that works, one whose process is gone, one that left. */
function aTeam(): { home: CliHome; coordinator: LocalCoordinator } {
  const home = aCliHome();
  for (const pid of [700, 701, 702]) home.alive.add(pid);
  addSession(home, { id: ids.alive, pid: 700, title: "fix the parser" });
  addSession(home, { id: ids.dead, pid: 701, title: "write docs" });
  const coordinator = home.coordinator();
  register(coordinator, ids.alive, 700);
  register(coordinator, ids.dead, 701);
  const incarnation = register(coordinator, ids.finished, 702, { metadata: { title: "third" } });
  given(coordinator.call("chats.unregister", { self: { chat: ids.finished, incarnation } }));
  home.alive.delete(701);
  home.now += 2_000;
  return { home, coordinator };
}

it("chats shows the present chats by short id, title and project, and counts the absent; one may be named by the beginning of its id, its title or the start of it, where one alone has it, and an ambiguous one is refused with titles", async () => {
  const { home, coordinator } = aTeam();
  const { out } = await home.shim("team chats");
  expect(out).toMatch(/^CHAT +STATE +DETAIL +TITLE +PROJECT +MACHINE +SEEN +TASKS +CAN +PROGRESS\n/);
  expect(out).toMatch(/^aaaa1111 +works +- +fix the parser +~\/project +here /m);
  expect(out).not.toContain("write docs");
  expect(out).toContain("2 chats died or ended: `shim team chats --all`\n");
  expect((await home.json("team chats"))["chats"]).toMatchObject([{ chat: ids.alive, title: "fix the parser" }]);
  register(coordinator, "aaaa1111-0000-4000-8000-000000000009", 700, { metadata: { title: "the other" } });
  const titles = ["-000000000001  works  fix the parser\n", "-000000000009  idle  the other\n"];
  const refused = failed(2, '"aaaa" matches several chats; give more of the id:\n', ...titles);
  expect(await home.shim("team send aaaa hello")).toMatchObject(refused);
  const others = ["team send cccc hello", "task list --chat aaaa", "team send zzzz hello"];
  expect(await home.codes(...others)).toEqual([0, 2, 3]);
  register(coordinator, "dddd1111-0000-4000-8000-000000000009", 700, { metadata: { title: "Fix the printer" } });
  for (const title of ["fix the parser", "Fix the PARSER", "fix the pr"])
    expect([title, (await home.shim("team send", title, "hello")).code]).toEqual([title, 0]);
  expect(await home.shim("team send", "fix the", "hello")).toMatchObject(failed(2, '"fix the" matches several chats'));
  expect((await home.shim("team send", "no such title", "hello")).code).toBe(3);
});

it("60 living runs of scripts stand behind a person's chat in the team, and are left out of the overview, which counts them", async () => {
  const home = aCliHome();
  const coordinator = home.coordinator();
  const add = (id: string, pid: number, isScripts: boolean): void => {
    home.alive.add(pid);
    home.now += 1_000;
    addSession(home, { id, pid, title: isScripts ? "check the links" : "fix the parser" });
    home.runtime.store.write((sql) => sessions.update(sql, id, { isScripts }));
    register(coordinator, id, pid);
  };
  for (let run = 0; run < 60; run++) {
    if (run === 30) add(ids.alive, 700, false);
    add(`eeee${1_000 + run}-0000-4000-8000-000000000001`, 800 + run, true);
  }
  const { chats } = (await home.json("team chats")) as { chats: { title: string }[] };
  expect([chats.length, chats[0]?.title]).toEqual([61, "fix the parser"]);
  const { out } = await home.shim("up");
  expect(out).toContain("60 runs of scripts");
  expect(out).toMatch(/Team[^]*fix the parser/);
  expect(out).not.toContain("check the links");
});

it("a message to sessions that are in no team is refused with that, and where several are meant, with all of them", async () => {
  const { home } = aTeam();
  for (const end of [1, 2]) addSession(home, { id: `eeee1111-0000-4000-8000-00000000000${end}`, title: `chat ${end}` });
  const send = (to: string) => home.shim(`team send ${to} hello`);
  expect(await send("eeee1111")).toMatchObject(failed(2, '"eeee1111" matches several sessions', "chat 1", "chat 2"));
  expect(await send("eeee1111-0000-4000-8000-000000000001")).toMatchObject(failed(3, "there is no chat"));
  addSession(home, { id: "ffff1111-0000-4000-8000-000000000001", title: "alone" });
  expect(await send("ffff")).toMatchObject(failed(3, "session ffff1111 is in no team"));
});

it("a message to all chats comes to the command line until it is acknowledged", async () => {
  const { home, coordinator } = aTeam();
  await home.shim("team inbox");
  const self = { chat: "b-chat", incarnation: register(coordinator, "b-chat", 700) };
  given(coordinator.call("messages.send", { self, target: { to: "all" }, body: "hello" }));
  for (const [option, out] of [
    ["", '"hello"'],
    ["--ack", '"hello"'],
    ["", "No messages.\n"],
  ] as const)
    expect(await home.shim(`team inbox ${option}`)).toMatchObject(printed(out));
});

it("`shim team conflicts` shows what is open between living chats", async () => {
  const home = aSeededHome();
  expect(await home.shim("team conflicts")).toMatchObject(printed("No conflict between chats is foreseen.\n"));
  home.alive.add(200);
  const trees = { root: home.project, otherRoot: home.other, did: "changed", otherDid: "deleted" } as const;
  const row = { kind: "merge", session: ids.alive, other: ids.dead, path: "src/a.ts", lines: "7-9", ...trees } as const;
  home.runtime.store.write((sql) => teamConflicts.insert(sql, { ...row, at: home.now }));
  const open = printed("Will not merge (0 s ago)", "src/a.ts: aaaa1111 lines 7-9, bbbb2222 deleted\n");
  expect(await home.shim("team conflicts")).toMatchObject(open);
  home.alive.delete(200);
  expect(await home.json("team conflicts")).toEqual({ isOn: true, conflicts: [] });
});

it("each kind of conflict says what both did and what to do, once for each pair of chats", async () => {
  const home = aCliHome();
  for (const pid of [100, 200]) home.alive.add(pid);
  const call = { id: "t1", name: "Write", input: "a.ts" };
  const edited = { kind: "tool_end", ...call, path: join(home.project, "a.ts"), action: "edited" } as const;
  addSession(home, { id: ids.alive, pid: 100, entries: [{ kind: "tool_start", ...call }, edited] });
  addSession(home, { id: ids.dead, pid: 200 });
  const add = (kind: "file" | "tree" | "apart", path: string, otherRoot = home.project) => {
    const files = { root: home.project, otherRoot, did: "changed", otherDid: "changed", path } as const;
    const row = { kind, session: ids.alive, other: ids.dead, ...files, lines: null, otherLines: "3", at: home.now };
    home.runtime.store.write((sql) => teamConflicts.insert(sql, row));
    home.now += 60_000;
  };
  add("tree", home.project);
  const lines = async () => (await home.shim("team conflicts")).out.trimEnd().split("\n");
  const [one, two] = ["aaaa1111", "bbbb2222"].map((id) => `  ${id} "work of ${id.slice(0, 4)}" (Claude Code) in ~/`);
  expect(await lines()).toEqual([
    "Both write one work tree, without reservations (60 s ago):",
    `${one}project: a.ts`,
    `${two}project: no file known`,
    "What to do: give one of them a work tree of its own, or ask each to reserve its files, which its tool shim_files does.",
  ]);
  add("apart", "its commit is not here", home.other);
  for (const path of ["a.ts", "b.ts"]) add("file", path);
  expect(await lines()).toEqual([
    "Both have edited the same file, and it is not committed (2 min ago):",
    `${one}project`,
    `${two}project`,
    "  b.ts",
    "  a.ts",
    "What to do: let one finish and commit before the other goes on, or ask one to wait: `shim team send bbbb2222 <text>`.",
    "",
    "Not compared (3 min ago):",
    `${one}project`,
    `${two}other`,
    "  its commit is not here",
    "What to do: fetch that commit in ~/project.",
  ]);
  const { config } = home.runtime;
  Object.assign(home.runtime, { config: { ...config, team: { ...config.team, conflicts: false } } });
  const off = "Conflicts are not foreseen: `shim config set team.conflicts true`.\n";
  expect((await home.shim("team conflicts")).out).toBe(off);
});

const token = `ghp_${draw(8).chars(base62, 36)}`;
const password = `${draw(9).chars(base62, 12)}!`;

it.each([
  ["team", "send", "all", `deploy with ${token}`],
  ["team", "send", `topic:${token}`, "hi"],
  ["team", "send", "all", "--json", JSON.stringify({ password, note: token })],
  ["call", "state.set", "key=deploy", `value=${token}`, "--yes"],
  ["call", "state.set", `key=${token}`, "value=1", "--yes"],
  ["call", "state.set", "key=db_password", `value=${password}`, "--yes"],
  ["task", "submit", "build", "--payload", JSON.stringify({ env: { API_TOKEN: token, DB_PASSWORD: password } })],
  ["task", "submit", "build", "--tag", token],
  ["task", "submit", "--graph", "plan.yaml"],
])("what `shim %s %s %s` stores holds no secret", async (...argv) => {
  const home = aCliHome();
  write(home.project, { "plan.yaml": `- type: deploy\n  payload: {password: "${password}", to: staging}\n` });
  const ran = await home.shim(...argv);
  for (const secret of [token, password]) expect(filesWith(home, secret)).toEqual([]);
  if (ran.code === 0) expect(ran.err).toMatch(/Secrets removed: \d/);
});

it("a key is redacted alike where it is set and where it is read", async () => {
  const home = aCliHome();
  await home.shim(`call state.set key=${token} value=here --yes`);
  expect(await home.json(`call state.get key=${token}`)).toMatchObject({ entry: { value: "here" } });
  expect((await home.shim("call state.list")).out).toContain("[redacted:github-token]");
});
