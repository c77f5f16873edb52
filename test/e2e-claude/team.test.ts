import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { call, ClaudeRig, endless, endlessTool, kill, received, shimTool } from "#harness/claude/claude-rig.ts";
import { CutProxy } from "#harness/edge/real-server.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git } from "#harness/machine/git-project.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

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
  const joins = async (rig: ClaudeRig, machine: string, url: string, code: string): Promise<void> => {
    const { token } = await edge.call("tokens.create", { machine, scope: "work" });
    await shim(rig, ["workspace", "join", edge.workspace, "--url", url, "--import"], `${token}\n${code}\n`);
  };
  await joins(machines.a, "desktop", power.url, "");
  const { key } = JSON.parse(await shim(machines.a, ["workspace", "key", "show", "--yes", "--json"])) as {
    key: string;
  };
  await joins(machines.b, "laptop", edge.url, key);
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
    const { sessions } = await edge.call("sync.list", { session: dead });
    expect([sessions[0]?.checkpoint, progress?.note]).toEqual([expect.any(String), "half of it"]);
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
