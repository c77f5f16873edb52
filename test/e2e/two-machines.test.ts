import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { CutProxy } from "#harness/edge/real-server.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git, makeProject } from "#harness/machine/git-project.ts";
import { answered, startServer } from "#harness/machine/mcp-process.ts";
import { MachineHome, patience } from "#harness/machine/programs.ts";
import type { McpConnection } from "#harness/machine/mcp-connection.ts";

const polling = { ...patience, interval: 200 };

interface Joined {
  readonly machine: MachineHome;
  readonly proxy: CutProxy;
}

/** Two machines with a clone of one project each, and a way of its own to one coordinator that gives up a silent chat after 10 s. */
async function twoMachines(): Promise<{ edge: EdgeRuntime; a: Joined; b: Joined }> {
  const edge = await EdgeRuntime.open();
  const settings = { chatTtlMs: 10_000, interactiveGraceMs: 1_000, workerGraceMs: 1_000, lostSocketGraceMs: 1_000 };
  await edge.call("settings.set", { settings });
  const { root: folder, project: origin } = makeProject({ "one.ts": "export {};\n" });
  const joined = async (name: string, code: string): Promise<Joined> => {
    const [machine, proxy] = [new MachineHome(name, { folder, origin }), await CutProxy.to(edge.url)];
    const { token } = await edge.call("tokens.create", { machine: name, scope: "work" });
    writeFileSync(join(machine.home, "given"), `${token}\n${code}\n`, { mode: 0o600 });
    await machine.run([`shim workspace join ${edge.workspace} --url ${proxy.url} --import < "$HOME/given"`]);
    return { machine, proxy };
  };
  const a = await joined("desktop", "");
  const code = await a.machine.run(["shim workspace key show --yes | grep -o 'shimkey-[^ ]*'"]);
  return { edge, a, b: await joined("laptop", code.trim()) };
}

async function aChat({ machine }: Joined, goal: string): Promise<{ server: McpConnection; session: string }> {
  const server = await startServer(machine.paths);
  const { project } = machine;
  const work = { goal, project, nextStep: `go on with ${goal}`, files: [join(project, "one.ts")] };
  const { session } = await answered(server, "shim_force_checkpoint", work);
  return { server, session: String(session) };
}

function stateOf(edge: EdgeRuntime, task: number): Promise<string> {
  return edge.call("tasks.get", { task }).then(({ state }) => state);
}

it("a machine loses power in mid-task: a chat of the other one takes over its session and its task, which is done once", async () => {
  const { edge, a, b } = await twoMachines();
  const one = await aChat(a, "the parser");
  await answered(one.server, "shim_submit", { tasks: [{ type: "parser", payload: { part: "comments" } }] });
  await answered(one.server, "shim_next", {});
  const half = { inProgress: ["half of the lexer"], nextStep: "the other half" };
  await answered(one.server, "shim_force_checkpoint", half);
  await answered(one.server, "shim_report", { outcome: "progress", percent: 50, note: "half" });
  await a.machine.run(["shim workspace sync"]);
  a.proxy.cut();
  one.server.process.kill("SIGKILL");
  await one.server.ended;
  await vi.waitFor(async () => expect(await stateOf(edge, 1)).toBe("queued"), polling);

  const other = await aChat(b, "hello");
  const found = await vi.waitFor(async () => {
    const { brief } = await answered(other.server, "shim_check_recovery", { project: b.machine.project });
    expect(brief).toContain(one.session);
    return String(brief);
  }, polling);
  for (const part of ["on another machine (desktop)", "half of the lexer", "not synced: whatever it did after"])
    expect(found).toContain(part);
  await answered(other.server, "shim_check_recovery", { of: one.session, take: true });
  const next = await answered(other.server, "shim_next", {});
  expect(next).toMatchObject({ task: { task: 1, payload: { part: "comments" }, progress: { note: "half" } } });
  await answered(other.server, "shim_report", { outcome: "done", result: "both halves" });
  expect(await edge.call("tasks.get", { task: 1 })).toMatchObject({ state: "done", chat: null });
  // The next chat of the first machine is not offered what was continued elsewhere.
  a.proxy.heal();
  await a.machine.run(["shim workspace sync"]);
  const late = await startServer(a.machine.paths);
  const answer = await answered(late, "shim_check_recovery", { project: a.machine.project });
  expect(JSON.stringify(answer)).not.toContain("half of the lexer");
});

/** All bytes of all files below a folder. */
function bytesBelow(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
  return names.map((name) => (statSync(name).isFile() ? readFileSync(name).toString("latin1") : "")).join("\n");
}

it("none of a hundred marked words of a chat's work is in what the coordinator has stored @night", async () => {
  const { edge, a } = await twoMachines();
  const marks = Array.from({ length: 100 }, (_, n) => `MARK${n}q${(n * 7_919 + 13).toString(36)}z`);
  const part = (from: number): string[] => marks.slice(from, from + 10);
  const project = join(a.machine.home, part(0).join("-"));
  mkdirSync(project);
  git(project, "init", "-q", "-b", part(10)[0] ?? "");
  git(project, "config", "remote.origin.url", `https://git.example.com/${part(10).slice(1).join("/")}.git`);
  for (const name of part(20)) writeFileSync(join(project, `${name}.ts`), "export {};\n");
  const server = await startServer(a.machine.paths);
  await answered(server, "shim_force_checkpoint", {
    project,
    goal: part(30).join(" "),
    done: part(40),
    inProgress: part(50),
    nextStep: part(60).join(" "),
    decisions: part(70),
    files: part(20).map((name) => join(project, `${name}.ts`)),
    todos: part(80).map((text) => ({ text, status: "pending" })),
    state: { words: part(90) },
  });
  // Other chats of the team see it, and what it reserves.
  await answered(server, "shim_chats", {});
  await answered(server, "shim_submit", { tasks: [{ type: "open", payload: "READABLE" }] });
  await answered(server, "shim_next", {});
  await answered(server, "shim_report", { outcome: "progress", note: "half" });
  await answered(server, "shim_files", { action: "reserve", paths: ["src/**"], project });
  await a.machine.run(["shim workspace sync"]);
  expect(await edge.call("sync.status", {})).toMatchObject({ sessions: 1, checkpoints: 1 });
  const stored = bytesBelow(edge.folder);
  expect(marks.filter((mark) => stored.includes(mark))).toEqual([]);
  // These are the bytes that are stored.
  expect(stored).toContain("READABLE");
});

/** A git that dies, with the host that has started it, where `KILL_AT` says; the second is how git leaves it then. */
const dyingGit = `#!/bin/bash
real() { PATH="\${PATH#*:}" git "$@"; }
case "$KILL_AT $*" in
  "files "*checkout-index*) kill -9 $PPID ;;
  "worktree "*worktree\\ add*)
    real "$@"
    for folder in "$PROJECT"/.git/worktrees/*; do
      echo 0000000000000000000000000000000000000000 > "$folder/HEAD"
      echo initializing > "$folder/locked"
    done
    kill -9 $PPID ;;
esac
PATH="\${PATH#*:}" exec git "$@"
`;

it("a take that was killed is done by the next one, in its place", async () => {
  const { root: folder, project: origin } = makeProject({ "one.ts": "export {};\n" });
  const [a, b] = [new MachineHome("desktop", { folder, origin }), new MachineHome("laptop", { folder, origin })];
  const session = await a.loseAChat("the parser");
  const file = join(folder, "given.shim");
  const { sealed } = await a.ask("give", session, "--file", file);
  writeFileSync(join(b.home, "code"), (sealed as { code: string }).code);
  writeFileSync(join(b.home, "bin", "git"), dyingGit, { mode: 0o755 });
  const take = `shim take ${file} --json < "$HOME/code"`;
  for (const at of ["worktree", "files"]) {
    await b.run([`! ${take}`], { KILL_AT: at, PROJECT: b.project });
    expect(git(b.project, "branch", "--list", "shim/*")).toMatch(/-1\n$/);
  }
  const [taken, again] = [JSON.parse(await b.run([take])), JSON.parse(await b.run([take]))];
  expect(taken).toMatchObject({ branch: expect.stringMatching(/-1$/), isRepeated: false, isAgain: false });
  expect(again).toMatchObject({ folder: taken.folder, isRepeated: true });
  expect(readFileSync(join(taken.folder, "one.ts"), "utf8")).toBe("export {};\n");
  expect(git(b.project, "branch", "--list", "shim/*").trim().split("\n")).toHaveLength(1);
  expect(git(b.project, "worktree", "list").trim().split("\n")).toHaveLength(2);
});
