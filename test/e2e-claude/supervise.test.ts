import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { findChild } from "#harness/claude/claude-code.ts";
import { claudeLimit } from "#harness/claude/usage-limits.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { WorkerProcess } from "#harness/claude/claude-workers.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "#harness/claude/scripted-model.ts";
import { bash, ClaudeRig, endless } from "#harness/claude/claude-rig.ts";

const prompt = "Make the parser accept empty input";
const done = { text: "It is done." };

interface Supervised {
  readonly rig: ClaudeRig;
  readonly model: ScriptedModel;
  readonly supervisor: WorkerProcess;
  /** Another supervisor of the same machine. */
  readonly again: () => WorkerProcess;
}

/** `shim worker supervise` with the real Claude Code, which talks to a model that plays the steps. */
async function supervised(steps: readonly Step[], atLimit: readonly object[] = []): Promise<Supervised> {
  const rig = new ClaudeRig();
  const model = await startScriptedModel({ threads: [{ steps }] });
  onTestFinished(() => model.close());
  const args = ["--allowedTools", "Bash"];
  const fix = { kind: "claude", folder: rig.project, prompt, program: claudeBinary(), args };
  mkdirSync(rig.paths.home, { recursive: true });
  writeFileSync(join(rig.paths.home, "supervisor.json"), JSON.stringify({ watch: { fix } }));
  writeFileSync(join(rig.paths.home, "config.json"), JSON.stringify({ atLimit }));
  const env = rig.envOf(model);
  const again = (): WorkerProcess =>
    new WorkerProcess(spawn(process.execPath, [built.launcher, "worker", "supervise", "--json"], { env }));
  return { rig, model, supervisor: again(), again };
}

it("Claude Code that is killed in the middle of a tool continues in its session, and is done @night", async () => {
  const { rig, model, supervisor } = await supervised([
    bash("echo half > half.txt"),
    endless,
    bash("cat half.txt"),
    done,
  ]);
  const claude = await supervisor.claude();
  const tool = await findChild(claude.pid, "sleep 600");
  process.kill(claude.pid, "SIGKILL");
  const second = await supervisor.until("started", 2);
  const { session } = await supervisor.until("started", 1);
  expect(second).toMatchObject({ session, how: `session ${String(session)} is resumed` });
  await rig.gone(tool.pid);
  expect(await supervisor.until("ended", 2)).toMatchObject({ phase: "finished", againInMs: null });
  expect(supervisor.named("output").map(({ text }) => text)).toContain("It is done.");
  const asked = model.requests.at(-1)?.messages.map(({ text }) => text) ?? [];
  expect(asked.join()).toContain(prompt);
  expect(asked.join()).toContain("You were interrupted in the middle of it");
  expect(asked.join()).toContain("this session died");
  expect(rig.sessions()).toMatchObject([{ id: session, endReason: expect.any(String) }]);
  const { checkpoints } = rig.stored(String(session));
  expect(checkpoints.map(({ trigger }) => trigger)).toContain("detached");
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});

it("a supervisor that is asked to end stops Claude Code; the next one resumes the session @night", async () => {
  const { rig, supervisor, again } = await supervised([endless, done]);
  const claude = await supervisor.claude();
  await findChild(claude.pid, "sleep 600");
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
  expect(await supervisor.until("ended")).toMatchObject({ phase: "due", reason: "it ended with its supervisor" });
  expect(rig.processes()).toEqual([]);
  const [session] = rig.sessions();
  expect(session).toMatchObject({ endedAt: null });
  const next = again();
  expect(await next.until("ended")).toMatchObject({ phase: "finished" });
  expect(rig.sessions()).toMatchObject([{ id: session?.id, endReason: expect.any(String) }]);
  next.kill("SIGTERM");
  expect(await next.ended).toBe(0);
});

it("a usage limit that Claude Code reports is waited for @night", async () => {
  const { supervisor } = await supervised(
    [claudeLimit],
    [{ folder: "/", order: ["wait"], mostUsd: null, mostHours: 8 }],
  );
  const ended = await supervisor.until("ended");
  const reason = expect.stringMatching(/^Claude Code has reached its usage limit/) as string;
  expect(ended).toMatchObject({ phase: "due", reason, againInMs: expect.any(Number) });
  expect(ended["againInMs"]).toBeGreaterThanOrEqual(299_000);
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});

it.for(["SIGINT", "SIGTERM"] as const)(
  "Claude Code that its user ends with %s is not started again @night",
  async (signal) => {
    const { supervisor } = await supervised([endless, done]);
    const claude = await supervisor.claude();
    await findChild(claude.pid, "sleep 600");
    process.kill(claude.pid, signal);
    expect(await supervisor.until("ended")).toMatchObject({ phase: "stopped", againInMs: null });
    supervisor.kill("SIGTERM");
    expect(await supervisor.ended).toBe(0);
  },
);
