import { expect, it } from "vitest";
import { aChat, anotherClaude, type Claude, type Printed, stateOf } from "#harness/machine/claude.ts";
import { git, temporaryFolder, write } from "#harness/machine/git-project.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";
import { qwen } from "#src/clients/qwen/qwen.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";

const push = { command: "git push origin main" };

/** What the hook answers before a call. */
function decisionOn(claude: Claude, command: string, id = "call-1"): string | undefined {
  const call = { tool_name: "Bash", tool_input: { command }, tool_use_id: id };
  return claude.tell("PreToolUse", call).hookSpecificOutput?.permissionDecision;
}

/** A chat that did these and died, and its successor. */
function recovered(
  guard: string,
  work: (first: Claude) => void,
): { runtime: TempRuntime; second: Claude; first: Claude } {
  const { runtime, claude: first } = aChat({ config: { effects: { guard } } });
  first.start();
  first.prompt("release it");
  work(first);
  first.kill();
  const second = anotherClaude(runtime, first, { session: "second-session" });
  second.start();
  second.prompt("continue");
  return { runtime, first, second };
}

it("asks before what is known as done is repeated after a recovery, in other words too", () => {
  const { second } = recovered("on", (first) => first.use("Bash", push));
  const call = { tool_name: "Bash", tool_input: { command: "cd . && git push" }, tool_use_id: "c" };
  expect(second.tell("PreToolUse", call).hookSpecificOutput).toEqual({
    hookEventName: "PreToolUse",
    permissionDecision: "ask",
    permissionDecisionReason: expect.stringMatching(
      /^SHIM: done already, 0 s ago, before this chat was recovered: git push origin main \(commit a1a1a1a1a1a1\)\. It cannot be undone\. To find out: `git ls-remote origin main`\.$/,
    ),
  });
});

it("is off by default, and asks of nothing in a chat that continues none", () => {
  expect(decisionOn(recovered("off", (first) => first.use("Bash", push)).second, push.command)).toBeUndefined();
  const { claude } = aChat({ config: { effects: { guard: "on" } } });
  claude.start();
  claude.prompt("push twice");
  claude.use("Bash", push);
  expect(decisionOn(claude, push.command)).toBeUndefined();
});

it.each([
  ["fly deploy", "ask"],
  ["git push --force origin main", "ask"],
  ["git push origin :next", "ask"],
  ["alembic upgrade +1", "ask"],
  ["git push", undefined],
  ["npm publish", undefined],
  ["gh release create v1", undefined],
  ["alembic upgrade head", undefined],
])("where the outcome of `%s` is not known, it gives %s", (command, expected) => {
  const { second } = recovered("on", (first) => void first.begin("Bash", { command }));
  expect(decisionOn(second, command)).toBe(expected);
});

it("a remote that has the commit of a push changes nothing when it is pushed again", () => {
  const root = temporaryFolder();
  git(root, "init", "-q", "--bare", "-b", "main", "remote");
  git(root, "-C", "remote", "config", "core.logAllRefUpdates", "true");
  git(root, "clone", "-q", "remote", "clone");
  const clone = `${root}/clone`;
  git(clone, "checkout", "-q", "-b", "main");
  git(clone, "commit", "-qm", "one", "--allow-empty");
  for (const _time of [1, 2]) git(clone, "push", "-q", "origin", "main");
  expect(git(root, "-C", "remote", "reflog", "show", "main").trim().split("\n")).toHaveLength(1);
});

it("does not ask after a failure, a new commit, or of another command, folder or branch", () => {
  const { second } = recovered("on", (first) => {
    first.use("Bash", push);
    first.use("Bash", { command: "fly deploy" });
    first.use("Bash", { command: "vercel deploy" });
    first.fail("Bash", { command: "vercel deploy" }, "Exit code 1");
  });
  expect(decisionOn(second, "vercel deploy")).toBeUndefined();
  expect(decisionOn(second, "fly deploy -a other")).toBeUndefined();
  expect(decisionOn(second, "cd other && fly deploy")).toBeUndefined();
  expect(decisionOn(second, "git push origin main:next")).toBeUndefined();
  expect(decisionOn(second, "git push --dry-run origin main")).toBeUndefined();
  write(second.cwd, { ".git/refs/heads/main": `${"c3".repeat(20)}\n` });
  expect(decisionOn(second, push.command)).toBeUndefined();
});

it("asks once for each effect: what the user let run is not asked of again, what did not run is", () => {
  const { second, runtime } = recovered("on", (first) => first.use("Bash", push));
  expect(decisionOn(second, push.command, "no")).toBe("ask");
  expect(decisionOn(second, push.command, "yes")).toBe("ask");
  second.done("yes", "Bash", push);
  expect(decisionOn(second, push.command, "again")).toBeUndefined();
  expect(stateOf(runtime, second.session)?.effects?.map(({ outcome = "open", asked }) => [outcome, asked])).toEqual([
    ["open", true],
    ["done", true],
    ["open", undefined],
  ]);
});

it("a resumed session continues itself", () => {
  const { runtime, claude } = aChat({ config: { effects: { guard: "on" } } });
  claude.start();
  claude.prompt("push");
  claude.use("Bash", push);
  claude.resume();
  claude.prompt("continue");
  expect(decisionOn(claude, push.command)).toBe("ask");
  void runtime;
});

it("a client that cannot ask refuses, and lets it through after the user's next prompt", () => {
  const { runtime, second } = recovered("on", (first) => first.use("Bash", push));
  let calls = 0;
  const tell = (event: string, fields: object): Printed => {
    runtime.wait(20);
    const input = { ...second.input("PreToolUse"), hook_event_name: event, ...fields };
    const text = answerHook(runtime, event, () => JSON.stringify(input), second.pid, qwen);
    return text === "" ? {} : (JSON.parse(text) as Printed);
  };
  const decision = (): Printed["hookSpecificOutput"] => {
    const call = { tool_name: "run_shell_command", tool_input: push, tool_call_id: `q${(calls += 1)}` };
    return tell("PreToolUse", call).hookSpecificOutput;
  };
  expect(decision()).toMatchObject({
    permissionDecision: "deny",
    permissionDecisionReason: expect.stringContaining(
      "Ask the user whether to run it again; after the user's next prompt",
    ),
  });
  expect(decision()).toMatchObject({ permissionDecision: "deny" });
  expect(stateOf(runtime, second.session)?.effects?.map(({ outcome }) => outcome)).toEqual(["refused", "refused"]);
  tell("UserPromptSubmit", { prompt: "yes, push it again", prompt_id: "p9" });
  expect(decision()).toBeUndefined();
});
