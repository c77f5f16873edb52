import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { checksOf } from "../../demo/story/show.ts";
import { Story } from "../../demo/story/story.ts";
import { midway } from "../../demo/story/team-chat.ts";
import { findChild, untilFound } from "#harness/claude/claude-code.ts";
import { bash, call, endless, WorkerMachine } from "#harness/claude/claude-rig.ts";
import { git } from "#harness/machine/git-project.ts";

const request = "Make the parser accept empty input";
const done = { text: 'I looked, and it is done.\n{"shim":"done","result":{"files":1}}' };

it("a task is done by Claude Code in a worktree, with SHIM's server and hooks, and without shim init", async () => {
  const write = call("Write", { file_path: "fixed.ts", content: "export {};\n" });
  const save = call("mcp__shim__shim_force_checkpoint", { goal: "The parser" });
  const settings = { allowedTools: ["Write", "Bash(sleep *)"] };
  const machine = await WorkerMachine.with([bash("sleep 1"), write, save, done], settings);
  const task = machine.submit(request);
  expect(await machine.worker("--once").ended).toBe(0);
  const found = machine.ask("tasks.get", { task });
  const [session] = machine.rig.sessions();
  const output = { value: { files: 1 }, session: session?.id, turns: 4, refused: 0, cost: "measured" };
  expect(found).toMatchObject({ state: "done", result: { output }, used: { tokens: 4_080, costMicros: 17_600 } });
  const { branch } = found.result as { branch: string };
  expect(git(machine.rig.project, "show", `${branch}:fixed.ts`)).toBe("export {};\n");
  expect(existsSync(join(machine.rig.project, "fixed.ts"))).toBe(false);
  const { checkpoints } = machine.rig.stored(session?.id ?? "");
  expect(checkpoints.map(({ trigger }) => trigger)).toContain("on_demand");
});

it.each([
  ["with its Claude Code", true],
  ["alone, which ends its Claude Code too,", false],
])("a worker killed %s loses its task to another, which resumes the session", async (_how, isWithClaude) => {
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
  expect(machine.asked().at(-1)).toContain("You were interrupted in the middle of it");
});

it("a tool that is not allowed is refused without a question, and the run continues", async () => {
  const steps = [
    bash("touch not-allowed.txt"),
    call("Write", { file_path: "neither.txt", content: "x" }),
    bash("git log --oneline"),
    call("Read", { file_path: "/etc/hostname" }),
    call("Read", { file_path: "one.ts" }),
    call("mcp__shim__shim_clear_state", {}),
    done,
  ];
  const machine = await WorkerMachine.with(steps, { allowedTools: ["Bash(git log *)", "Read(./**)"] });
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
  const kinds = answers.map((text) => /Permission to use|No such tool|first|export/.exec(text)?.[0]);
  const refused = ["Permission to use", "No such tool"];
  expect(kinds).toEqual([...refused, "first", refused[0], "export", refused[1]]);
  expect(existsSync(join(machine.rig.root, "hooks.log"))).toBe(false);
});

it("the demo with the real Claude Code: three chats do six tasks once, one is killed, and a fourth submits and summarises", async () => {
  const timeoutMs = 230_000;
  /** A sixteenth of the times that a model takes. */
  const waits = { seed: 1, scale: 1 / 16 };
  const story = new Story({ host: "edge", waits, kill: midway, signal: AbortSignal.timeout(timeoutMs) });
  let isClosed = false;
  onTestFinished(async () => void (isClosed || (await story.close())));
  const run = await story.team();
  expect([checksOf(story, run).filter(({ holds }) => !holds), run.problems]).toEqual([[], []]);
  const ends = run.records.map(({ spans }) => spans.map(({ end }) => end));
  expect(ends).toEqual([["done"], ["done"], ["done"], ["done"], ["chat_offline", "done"], ["done"], ["done"]]);
  expect(run.records[4]?.spans.at(-1)?.chat).toBe(run.kill.session);
  expect(await story.close()).toEqual({ codes: story.machines.map(() => 0), left: [] });
  isClosed = true;
  expect(existsSync(story.root)).toBe(false);
});
