import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import {
  childrenOf,
  findChild,
  startClaude,
  startTerminal,
  transcriptPath,
  untilFound,
} from "#harness/claude/claude-code.ts";
import { startScriptedModel, type Step } from "#harness/claude/scripted-model.ts";

const cleanUps: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

const EVENTS = ["SessionStart", "PreToolUse", "Stop", "SessionEnd"];
const BASH_ALLOWED = ["--allowedTools", "Bash"];
const bash = (command: string): Step => ({ tools: [{ name: "Bash", input: { command } }] });

/** A home and a project of the test's own, a model that plays the steps, and hooks that append their input to a file. */
async function aWorkplace(steps: readonly Step[]) {
  const root = mkdtempSync(join(tmpdir(), "shim-e2e-"));
  const folders = { home: join(root, "home"), cwd: join(root, "project") };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  const model = await startScriptedModel({ threads: [{ steps }] });
  cleanUps.push(
    () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }),
    () => model.close(),
  );
  const log = join(root, "hooks.jsonl");
  appendFileSync(log, "");
  const hook = { type: "command", command: "sh", args: ["-c", `{ cat; echo; } >> ${log}`] };
  const settings = { hooks: Object.fromEntries(EVENTS.map((event) => [event, [{ hooks: [hook] }]])) };
  return {
    model,
    options: { ...folders, modelUrl: model.url, settings, args: BASH_ALLOWED },
    hooks: () =>
      readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

it("runs the real Claude Code through a script, with its hooks", async () => {
  const { model, options, hooks } = await aWorkplace([bash("echo from-the-tool"), { text: "All done." }]);
  const claude = startClaude({ ...options, prompt: "fix the parser" });
  expect(await claude.waitForExit()).toEqual({ code: 0, signal: null });
  expect(claude.output.stdout).toBe("All done.\n");
  expect(hooks().map((hook) => hook["hook_event_name"])).toEqual(EVENTS);
  expect(model.requests.at(-1)?.messages.map(({ text }) => text)).toContainEqual("from-the-tool");
  expect(existsSync(transcriptPath(options.home, options.cwd, String(hooks()[0]?.["session_id"])))).toBe(true);
});

it("kills Claude Code in the middle of a tool, whose process goes on", async () => {
  const { options, hooks } = await aWorkplace([bash("exec sleep 30"), { text: "never said" }]);
  const claude = startClaude({ ...options, prompt: "wait" });
  const tool = await findChild(claude.pid, "sleep 30");
  cleanUps.push(() => void process.kill(-tool.pid, "SIGKILL"));
  claude.kill("SIGKILL");
  expect(await claude.waitForExit()).toEqual({ code: null, signal: "SIGKILL" });
  expect(existsSync(`/proc/${tool.pid}`)).toBe(true);
  expect(childrenOf(claude.pid)).toEqual([]);
  expect(hooks().map((hook) => hook["hook_event_name"])).toEqual(["SessionStart", "PreToolUse"]);
});

it("types into Claude Code in a terminal and meets no first-run dialog", async () => {
  const { options, hooks } = await aWorkplace([{ text: "Hello to you." }]);
  const terminal = startTerminal(options);
  cleanUps.push(() => terminal.kill("SIGKILL"));
  const seen = (event: string) => untilFound(() => hooks().find((hook) => hook["hook_event_name"] === event), event);
  await seen("SessionStart");
  await terminal.send("good morning");
  expect(await seen("Stop")).toMatchObject({ last_assistant_message: "Hello to you." });
  await terminal.shows("Hellotoyou.");
  expect(await terminal.claudePid()).not.toBe(terminal.pid);
  await terminal.send("/exit");
  expect(await terminal.waitForExit()).toEqual({ code: 0, signal: null });
  expect(hooks().at(-1)).toMatchObject({ hook_event_name: "SessionEnd", reason: "prompt_input_exit" });
});
