import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { hookEvents, type HookEvent } from "#src/contract/hooks.ts";
import { isRiskyCommand } from "#src/machine/checkpoints/risky-commands.ts";
import { countedTrigger, eventTrigger } from "#src/machine/checkpoints/triggers.ts";
import { countTrigger, type SaveFacts } from "#src/learning/policy/risk.ts";
import { defaults } from "#src/contract/config.ts";
import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import { findAwaited } from "#src/snapshots/stored-snapshots.ts";
import { aChat } from "#harness/machine/claude.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";

const config = { ...defaults.checkpoint, beforeTools: ["Bash", "mcp__*__delete_*", "a.b"] };

function at(event: HookEvent, facts: Partial<SaveFacts> = {}): string | null {
  const calm = { toolCalls: 1, sinceSavedMs: 1_000, isRiskPending: false };
  return eventTrigger(event, { tool_name: "Read" }, config) ?? countedTrigger(event, { ...calm, ...facts }, config);
}

it("every end, compaction and switch of the model is a checkpoint; a start and a prompt are not", () => {
  const always = hookEvents.map((event) => `${event} ${at(event)}`).filter((line) => !line.endsWith("null"));
  const turnEnds = ["Stop turn_end", "StopFailure turn_end", "SessionEnd session_end"];
  const others = ["PreCompact compact", "PostCompact compact", "PreModelSwitch model_switch"];
  expect(always.toSorted()).toEqual([...turnEnds, ...others].toSorted());
});

it("after a tool: when the risk rose a level, every N calls, every M minutes, and when nothing was saved yet", () => {
  expect(at("PostToolUse")).toBeNull();
  expect(at("PostToolUse", { isRiskPending: true })).toBe("risk");
  expect(at("PostToolUseFailure", { toolCalls: 10 })).toBe("tools");
  expect(at("PostToolUse", { toolCalls: 9 })).toBeNull();
  expect(at("PostToolUse", { sinceSavedMs: 300_000 })).toBe("time");
  expect(at("PostToolUse", { sinceSavedMs: null })).toBe("time");
  expect(countTrigger({ toolCalls: 0, sinceSavedMs: 299_999 }, config)).toBeNull();
});

function before(tool: string | undefined): string | null {
  return eventTrigger("PreToolUse", { tool_name: tool, tool_input: {} }, config);
}

it("before a tool that the user marked as risky; * matches any text, all else only itself", () => {
  for (const tool of ["Bash", "mcp__files__delete_all", "a.b"]) expect(before(tool)).toBe("before_tool");
  for (const tool of ["BashOutput", "mcp__files__list", "aXb", undefined]) expect(before(tool)).toBeNull();
});

function isRisky(command: string): boolean {
  return isRiskyCommand("Bash", { command }, defaults.checkpoint);
}

/** Shell commands as chats write them, one a line; `⏎` is a line end in a command. */
function corpus(name: "risky" | "harmless"): string[] {
  const url = new URL(`../../../harness/machine/shell-corpus/${name}.txt`, import.meta.url);
  const lines = readFileSync(url, "utf8").trimEnd().split("\n");
  return lines.map((line) => line.replaceAll("⏎", "\n"));
}

it("of a corpus of commands those that destroy what no later one brings back are risky, behind any wrapper, and no others", () => {
  const [risky, harmless] = [corpus("risky"), corpus("harmless")];
  expect(risky.filter((command) => !isRisky(command))).toEqual([]);
  expect(harmless.filter(isRisky)).toEqual([]);
  expect(Math.min(risky.length, harmless.length)).toBeGreaterThan(100);
});

it("the list is the user's to change, and an empty entry matches nothing", () => {
  const own = {
    ...defaults.checkpoint,
    beforeCommands: ["deploy.sh prod", "make *", "", "launch missiles", "a("],
  };
  const ran = (command: string): boolean => isRiskyCommand("Bash", { command }, own);
  expect(["./deploy.sh prod", "make all", "./run LAUNCH  missiles"].map(ran)).toEqual([true, true, true]);
  expect(["./deploy.sh test", "rm -rf src", "make"].map(ran)).toEqual([false, false, false]);
});

function newest(runtime: TempRuntime): string | undefined {
  return runtime.store.read((sql) => checkpoints.search(sql, { limit: 1 }), [])[0]?.trigger;
}

it("before a risky command and before a compaction there is a checkpoint whose files are awaited", () => {
  const { runtime, claude } = aChat();
  claude.turn("tidy up");
  const awaited = (): boolean => runtime.store.read((sql) => findAwaited(sql, runtime.now()), null) !== null;
  claude.prompt("and reset");
  claude.begin("Bash", { command: "ls" });
  expect([newest(runtime), awaited()]).toEqual(["turn", true]);
  claude.begin("Bash", { command: "cd sub && git reset --hard" });
  expect([newest(runtime), awaited()]).toEqual(["before_tool", true]);
  runtime.wait(60_000);
  expect(awaited()).toBe(false);
  claude.prompt("go on");
  claude.tell("PreCompact", { trigger: "auto", custom_instructions: null });
  expect([newest(runtime), awaited()]).toEqual(["compact", true]);
});

it("before a switch to a model whose window is too small the user is asked; a client without a user is warned", () => {
  const { runtime, claude } = aChat();
  claude.turn("tidy up");
  const fields = { from_model: "claude-opus-5-5", to_model: "claude-haiku-4-5", context_tokens: 700_000 };
  const { hookSpecificOutput: asked } = claude.tell("PreModelSwitch", fields);
  const text = asked?.permissionDecisionReason;
  expect(text).toContain("700,000 tokens, and claude-haiku-4-5 takes 200,000");
  expect(asked).toMatchObject({ hookEventName: "PreModelSwitch", permissionDecision: "ask" });
  for (const change of [{ to_model: "some-other-model" }, { context_tokens: 100_000 }])
    expect(claude.tell("PreModelSwitch", { ...fields, ...change })).toEqual({});
  expect(claude.tell("PreModelSwitch")).toEqual({});
  runtime.env["CLAUDE_CODE_ENTRYPOINT"] = "sdk-ts";
  expect(claude.tell("PreModelSwitch", fields)).toEqual({ systemMessage: text });
});

it("before the first tool of a turn that may change files their snapshot is awaited, once a turn", () => {
  const { runtime, claude } = aChat();
  const turns = (): number =>
    runtime.store.read((sql) => sql.all("SELECT 1 FROM checkpoints WHERE trigger = 'turn'").length, 0);
  const saved = (state: string): void =>
    runtime.store.write((sql) => void sql.run("UPDATE snapshots SET state = ? WHERE state = 'pending'", state));
  claude.start();
  claude.prompt("tidy up");
  for (const tool of ["Read", "Grep", "TodoWrite", "mcp__shim__shim_chats"]) claude.use(tool, { path: "a" });
  expect(turns()).toBe(0);
  claude.begin("Edit", { file_path: "/a" });
  expect(turns()).toBe(1);
  expect(runtime.store.read((sql) => findAwaited(sql, runtime.now()), null)).not.toBeNull();
  saved("done");
  claude.begin("Bash", { command: "ls" });
  claude.stop();
  claude.begin("mcp__files__move", { from: "a" });
  expect(turns()).toBe(2);
  saved("failed");
  claude.begin("Write", { file_path: "/b" });
  expect(turns()).toBe(2);
  claude.prompt("and reset");
  claude.begin("Bash", { command: "git reset --hard" });
  saved("done");
  claude.begin("Bash", { command: "ls" });
  expect([turns(), newest(runtime)]).toEqual([2, "before_tool"]);
});
