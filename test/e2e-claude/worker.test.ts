import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import { hookCommand } from "#src/installer/entries.ts";
import type { Launch } from "#src/platform/launch.ts";
import { findChild, untilFound } from "#harness/claude/claude-code.ts";
import { WorkerMachine } from "#harness/claude/claude-workers.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { git } from "#harness/machine/git-project.ts";
import { bash, call, endless } from "#harness/claude/claude-rig.ts";

const request = "Make the parser accept empty input";
const done = { text: 'I looked, and it is done.\n{"shim":"done","result":{"files":1}}' };

it("a task is done by Claude Code in a worktree, with SHIM's server and hooks, and without shim init", async () => {
  const write = call("Write", { file_path: "fixed.ts", content: "export {};\n" });
  const save = call("mcp__shim__shim_force_checkpoint", { goal: "The parser" });
  const machine = await WorkerMachine.with([bash("sleep 1"), write, save, done], {
    allowedTools: ["Write", "Bash(sleep *)"],
  });
  const task = machine.submit(request);
  expect(await machine.worker("--once").ended).toBe(0);
  const found = machine.ask("tasks.get", { task });
  const [session] = machine.rig.sessions();
  expect(found).toMatchObject({
    state: "done",
    result: {
      output: { value: { files: 1 }, session: session?.id, turns: 4, refused: 0, tokens: 4_080, cost: "measured" },
    },
    used: { tokens: 4_080, costMicros: 17_600 },
  });
  const { branch } = found.result as { branch: string };
  expect(git(machine.rig.project, "show", `${branch}:fixed.ts`)).toBe("export {};\n");
  expect(existsSync(join(machine.rig.project, "fixed.ts"))).toBe(false);
  const { checkpoints } = machine.rig.stored(session?.id ?? "");
  expect(checkpoints.map(({ trigger }) => trigger)).toContain("on_demand");
  expect(session).toMatchObject({ endReason: expect.any(String), recovery: null });
  expect(existsSync(join(machine.rig.home, ".claude", "settings.json"))).toBe(false);
});

it.for([
  ["a worker killed with its Claude Code loses its task to another, which resumes the session @night", true],
  ["a worker killed alone ends its Claude Code too, and another resumes the session @night", false],
] as const)("%s", async ([, isWithClaude]) => {
  const half = bash("echo half > half.txt");
  const machine = await WorkerMachine.with([half, endless, bash("cat half.txt"), done], { allowedTools: ["Bash"] });
  const workers = [machine.worker(), machine.worker()];
  await Promise.all(workers.map((worker) => worker.until("registered")));
  const task = machine.submit(request);
  const [first, second] = await Promise.race(
    workers.map(async (worker, at) => {
      await worker.until("began");
      return at === 0 ? workers : workers.toReversed();
    }),
  );
  const claude = await first!.claude();
  await findChild(claude.pid, "sleep 600");
  // No worker continues from what the coordinator has not received.
  const checkpoint = (): string => JSON.stringify(machine.ask("tasks.get", { task }).checkpoint);
  await untilFound(() => checkpoint().includes("session"), "the session in the checkpoint");
  process.kill(first!.pid, "SIGKILL");
  if (isWithClaude) process.kill(claude.pid, "SIGKILL");
  await second!.until("ended");

  const { state, result } = machine.ask("tasks.get", { task });
  const { attempts } = machine.ask("tasks.history", { task, limit: 10 });
  expect(attempts.map(({ end }) => end)).toEqual(["done", "chat_offline"]);
  const [session, ...others] = machine.rig.sessions();
  expect(others).toEqual([]);
  expect([state, result]).toMatchObject(["done", { output: { session: session?.id, text: done.text } }]);
  const { branch } = result as { branch: string };
  expect(git(machine.rig.project, "show", `${branch}:half.txt`)).toBe("half\n");
  const last = machine.asked().at(-1) ?? "";
  expect(last).toContain("You were interrupted in the middle of it, by the machine and not by a person.");
  expect(last.match(/"command":"echo half/g)).toHaveLength(1);
  expect(last).toContain("user: half");
  expect(machine.asked()).toHaveLength(4);
});

it("a worker that is asked to end gives its task back with its session and what it has cost @night", async () => {
  const machine = await WorkerMachine.with([endless, done], { allowedTools: ["Bash"] });
  const first = machine.worker();
  const task = machine.submit(request);
  await first.until("began");
  const claude = await first.claude();
  await findChild(claude.pid, "sleep 600");
  first.kill("SIGTERM");
  expect(await first.ended).toBe(0);
  // The tool's own process too, which stands in no group of the worker's.
  expect(machine.rig.processes()).toEqual([]);
  expect(machine.ask("tasks.get", { task })).toMatchObject({
    state: "queued",
    used: { tokens: 1_020, costMicros: 4_400 },
  });
  expect(await machine.worker("--once").ended).toBe(0);
  expect(machine.ask("tasks.get", { task })).toMatchObject({
    state: "done",
    used: { tokens: 2_040, costMicros: 8_800 },
  });
  expect(machine.rig.sessions()).toHaveLength(1);
});

it("a task that passes its budget of tokens, or of cost, is stopped and dead @night", async () => {
  for (const [budget, limit] of [
    [{ tokens: 2_500 }, /3060 tokens of 2500/],
    [{ costMicros: 10_000 }, /0\.01 USD/],
  ] as const) {
    // The answer that passes the limit is the last one, however late the worker reads it.
    const steps = [
      { ...bash("echo on"), times: 3 },
      { ...bash("echo on"), hold: "beyond" },
    ];
    const machine = await WorkerMachine.with(steps, { allowedTools: ["Bash"] });
    const task = machine.submit(request, { budget });
    await machine.worker("--once").ended;
    const found = machine.ask("tasks.get", { task });
    expect(found).toMatchObject({
      state: "dead",
      reason: "budget_exceeded",
      used: { tokens: 3_060, costMicros: 13_200 },
    });
    expect(machine.asked().length).toBeLessThanOrEqual(4);
    expect(found.detail).toMatch(limit);
  }
});

it("a tool that is not allowed is refused without a question, and the run continues @night", async () => {
  const machine = await WorkerMachine.with(
    [
      bash("touch not-allowed.txt"),
      call("Write", { file_path: "neither.txt", content: "x" }),
      bash("git log --oneline"),
      call("Read", { file_path: "/etc/hostname" }),
      call("Read", { file_path: "one.ts" }),
      call("mcp__shim__shim_clear_state", {}),
      done,
    ],
    { allowedTools: ["Bash(git log *)", "Read(./**)"] },
  );
  const { project, home } = machine.rig;
  // Both would allow it, and run a command of their own.
  const hook = { hooks: [{ type: "command", command: `echo run >> ${join(machine.rig.root, "hooks.log")}` }] };
  const permissive = JSON.stringify({ permissions: { allow: ["Bash", "Write"] }, hooks: { SessionStart: [hook] } });
  for (const folder of [project, home]) {
    mkdirSync(join(folder, ".claude"));
    writeFileSync(join(folder, ".claude", "settings.json"), permissive);
  }
  git(project, "add", ".claude");
  git(project, "commit", "-q", "-m", "settings");
  const task = machine.submit(request);
  expect(await machine.worker("--once").ended).toBe(0);
  const { state, result } = machine.ask("tasks.get", { task });
  expect([state, result]).toMatchObject(["done", { output: { refused: 2, turns: 7 } }]);
  const answers = (machine.asked().at(-1) ?? "").split("\nuser: ").slice(-6);
  expect(answers.map((text) => /Permission to use|No such tool|first|export/.exec(text)?.[0])).toEqual([
    "Permission to use",
    "No such tool",
    "first",
    "Permission to use",
    "export",
    "No such tool",
  ]);
  expect(existsSync(join(machine.rig.root, "hooks.log"))).toBe(false);
});

it("where the user has SHIM's hooks too, each event is stored once @night", async () => {
  const launch: Launch = { node: process.execPath, script: built.launcher, hookScript: built.hook };
  const machine = await WorkerMachine.with([bash("echo one"), done], {
    allowedTools: ["Bash"],
    settingSources: ["user"],
  });
  const hooks = hookEvents.map((event) => [event, [{ hooks: [{ type: "command", ...hookCommand(launch, event) }] }]]);
  mkdirSync(join(machine.rig.home, ".claude"));
  const settings = JSON.stringify({ hooks: Object.fromEntries(hooks) as object });
  writeFileSync(join(machine.rig.home, ".claude", "settings.json"), settings);
  machine.submit(request);
  expect(await machine.worker("--once").ended).toBe(0);
  const [session] = machine.rig.sessions();
  const kinds = machine.rig.kinds(session?.id ?? "");
  for (const kind of ["start", "prompt", "tool_start", "tool_end", "turn_end", "end"]) {
    expect([kind, kinds.filter((one) => one === kind).length]).toEqual([kind, 1]);
  }
});
