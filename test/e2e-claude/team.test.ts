import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, call, ClaudeRig, endless, endlessTool, kill, received, shimTool } from "#harness/claude/claude-rig.ts";
import { CutProxy } from "#harness/edge/cut-proxy.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git } from "#harness/machine/git-project.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { storedCheckpoint } from "#harness/sync/stored-checkpoint.ts";

it("a file that one Claude Code has reserved is not edited by another, until the first is killed @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("write the lexer", {
    steps: [shimTool("shim_files", { action: "reserve", paths: ["src/**"] }), endless],
  });
  await endlessTool(first.claude);
  expect(received(first.model, -1)).toContain('"path":"src/**"');
  const edit = call("Write", { file_path: rig.path("src/new.ts"), content: "export const a = 1;\n" });
  const second = await rig.print("fix the parser", { steps: [edit, { hold: "again", ...edit }, { text: "Done." }] });
  await second.model.held("again");
  expect(received(second.model, 1)).toMatch(
    /src\/new\.ts is reserved in this checkout by "write the lexer" \(chat [\w-]+\)/,
  );
  await kill(first);
  second.model.release("again");
  expect(await second.claude.waitForExit()).toEqual({ code: 0, signal: null });
  expect(readFileSync(rig.path("src/new.ts"), "utf8")).toBe("export const a = 1;\n");
});

it("a message that one Claude Code sends by its tool makes another one continue at the end of its turn @night", async () => {
  const rig = new ClaudeRig();
  const steps = [{ hold: "turn", text: "Fixed." }, { text: "Answered." }];
  const second = await rig.typed("fix the parser", { steps });
  const { id } = second;
  await second.model.held("turn");
  await untilFound(() => rig.isInTeam(id), "the second chat in the team");
  const send = shimTool("shim_send", { to: id, text: "Which grammar do you use?" });
  await rig.printed("write the lexer", { steps: [send, { text: "Asked." }] });
  await untilFound(() => rig.news(id)[0], "the message");
  second.model.release("turn");
  await untilFound(() => second.model.requests.filter(({ kind }) => kind === "loop")[1], "the second turn");
  expect(received(second.model, 1)).toMatch(
    /message from "write the lexer" \(chat [\w-]+\): Which grammar do you use\?/,
  );
});

it("real Claude Codes are a team: a killed chat's task continues in the next, from its checkpoint @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.killed("plan the importer", {
    steps: [
      shimTool("shim_submit", { tasks: [{ type: "build", payload: { part: "the importer" } }] }),
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_force_checkpoint", { goal: "the importer", nextStep: "its tests" }),
      shimTool("shim_report", { outcome: "progress", note: "half of it", percent: 50 }),
    ],
  });
  const [dead] = rig.sessions();
  expect(received(first.model, -1)).toContain("Submitted: 1 (queued).");
  expect(rig.isInTeam(dead!.id)).toBe(true);
  const second = await rig.printed("go on with the importer", {
    steps: [
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_report", { outcome: "done", result: "made" }),
      shimTool("shim_chats", { all: true }),
      { text: "Done." },
    ],
  });
  const last = received(second.model, -1);
  expect(last).toMatch(/Taken task 1 \(build, attempt 1 of 3/);
  expect(last).toContain("half of it");
  expect(last).toContain(`"checkpoint":{"session":"${dead!.id}"`);
  expect(last).toContain("Reserved: one.ts.");
  expect(last).toContain("Reported: task 1 is done.");
  expect(last).toContain('"completedTasks":1');
});

it("two Claude Codes in two work trees learn of their conflict within their turns, before either commits @night", async () => {
  const rig = new ClaudeRig();
  const other = join(rig.root, "other");
  git(rig.project, "worktree", "add", "--quiet", "-b", "other", other);
  const start = (prompt: string, cwd: string, content: string) =>
    rig.print(prompt, {
      cwd,
      steps: [bash(`printf '${content}' > one.ts`), { hold: "told", ...bash("true") }, { hold: "end", text: "Done." }],
    });
  const chats = [
    await start("write the parser", rig.project, "export const a = 1;\\n"),
    await start("write the lexer", other, "export const b = 2;\\n"),
  ];
  for (const { model } of chats) await model.held("told");
  await untilFound(() => rig.hasConflicts(2), "news for both");
  for (const { model } of chats) model.release("told");
  for (const { model } of chats) {
    await model.held("end");
    expect(received(model, 2)).toMatch(
      /SHIM: other chats work on the same files\.[\s\S]+will not merge by themselves: one\.ts \(your line 1\)\. What may help/,
    );
    model.release("end");
  }
  for (const { claude } of chats) expect(await claude.waitForExit()).toEqual({ code: 0, signal: null });
  for (const folder of [rig.project, other]) expect(git(folder, "rev-list", "--count", "HEAD").trim()).toBe("1");
});

const patience = { timeout: 120_000, interval: 250 };

/** One command of `shim` on a machine: asynchronous: the proxy of the test works meanwhile. @returns its output */
async function shim(rig: ClaudeRig, args: readonly string[], input = ""): Promise<string> {
  const env = { PATH: process.env["PATH"], HOME: rig.home, SHIM_HOME: rig.paths.home };
  const child = spawn(process.execPath, [built.launcher, ...args], { cwd: rig.project, env });
  const { code, out, err } = await outputOf(child, input);
  expect(code, `shim ${args.join(" ")}\n${out}${err}`).toBe(0);
  return out;
}

/** Two machines with clones of one project, joined to one coordinator that gives up a silent chat after 5 s, each through a connection of its own. */
async function twoMachines() {
  const edge = await EdgeRuntime.open();
  const settings = { chatTtlMs: 5_000, interactiveGraceMs: 1_000, lostSocketGraceMs: 1_000 };
  await edge.call("settings.set", { settings });
  const machines = { a: new ClaudeRig(), b: new ClaudeRig() };
  rmSync(machines.b.project, { recursive: true });
  git(machines.a.root, "clone", "-q", machines.a.project, machines.b.project);
  for (const { project } of [machines.a, machines.b]) {
    git(project, "config", "remote.origin.url", "https://git.example.com/team/parser.git");
  }
  const power = await CutProxy.to(edge.url);
  const join = async (rig: ClaudeRig, machine: string, url: string, code: string): Promise<void> => {
    const { token } = await edge.call("tokens.create", { machine, scope: "work" });
    await shim(rig, ["workspace", "join", edge.workspace, "--url", url, "--import"], `${token}\n${code}\n`);
  };
  await join(machines.a, "desktop", power.url, "");
  const { key } = JSON.parse(await shim(machines.a, ["workspace", "key", "show", "--yes", "--json"])) as {
    key: string;
  };
  await join(machines.b, "laptop", edge.url, key);
  return { edge, power, ...machines };
}

it("Claude Code works on a task, its machine loses power; on the other machine Claude Code continues from its checkpoint, once @night", async () => {
  const { edge, power, a, b } = await twoMachines();
  const first = await a.print("make the parser accept comments", {
    steps: [
      shimTool("shim_submit", { tasks: [{ type: "parser", payload: { part: "comments" } }] }),
      shimTool("shim_next"),
      call("Write", { file_path: a.path("one.ts"), content: "export const half = true;\n" }),
      shimTool("shim_force_checkpoint", { goal: "the parser accepts comments", nextStep: "the other half" }),
      shimTool("shim_report", { outcome: "progress", percent: 50, note: "half of it" }),
      endless,
    ],
  });
  await endlessTool(first.claude);
  const dead = a.sessions()[0]!.id;
  await vi.waitFor(async () => {
    const { progress } = await edge.call("tasks.get", { task: 1 });
    expect([await storedCheckpoint(edge, dead), progress?.note]).toEqual([expect.any(String), "half of it"]);
  }, patience);
  // All at once: no process is left that could report it.
  power.cut();
  killEvery(a.processes());
  await first.claude.waitForExit();
  await vi.waitFor(async () => expect((await edge.call("tasks.get", { task: 1 })).state).toBe("queued"), patience);

  const second = await b.printed("go on with what died on the other machine", {
    steps: [
      shimTool("shim_check_recovery"),
      shimTool("shim_check_recovery", { of: dead, take: true }),
      shimTool("shim_next"),
      shimTool("shim_report", { outcome: "done", result: "both halves" }),
      { text: "Done." },
    ],
  });
  const heard = received(second.model, -1);
  expect(heard).toContain("on another machine (desktop)");
  expect(heard).toContain("the parser accepts comments");
  expect(heard).toContain("the other half");
  expect(heard).toMatch(/one\.ts \((edited|created)\): DIFFERENT here/);
  expect(heard).toContain("half of it");
  const heir = b.sessions().at(-1)!.id;
  expect(await edge.call("tasks.get", { task: 1 })).toMatchObject({ state: "done", result: "both halves" });
  // The power is back, and a user opens the old chat again.
  power.heal();
  await shim(a, ["workspace", "sync"]);
  const back = await a.printed("go on", { args: ["--resume", dead], steps: [{ text: "I see." }] });
  expect(received(back.model)).toMatch(/continued by .*|went on elsewhere/);
  expect(received(back.model)).toContain(heir);
});
