import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { aChat, anotherClaude, stateOf } from "#harness/machine/claude.ts";
import { aMessage, hear, joinTeam, reservationReceived } from "#harness/team/team-rig.ts";
import { setAside } from "#src/store/repair.ts";
import { inodeOf } from "#src/platform/private-files.ts";

/** A new expression that nobody has checked; it hangs at the word, and counts how often. */
const bad = vi.hoisted(() => ({
  calls: 0,
  reads(text: string): void {
    if (!text.includes("hang")) return;
    this.calls += 1;
    new RegExp("^(?:a+)+$").test(`${"a".repeat(60)}!`);
  },
}));

/** What happens once within the transaction of a prompt. */
const meanwhile = vi.hoisted((): (() => void)[] => []);

/** Ends at once like an expression that hangs at "hang", and at "shelf" where another prompt was read before. */
vi.mock("#src/machine/sessions/slash-command.ts", async () => {
  const { OverBudgetError, budgetMs } = await import("#src/platform/time-budget.ts");
  let last = "";
  return {
    isSlashCommand: () => {
      meanwhile.pop()?.();
      return false;
    },
    goalOfCommand: (prompt: string) => {
      const isSlow = prompt.includes("hang") || (prompt.includes("shelf") && prompt !== last);
      last = prompt;
      if (prompt.includes("hang")) bad.calls += 1;
      if (isSlow) throw new OverBudgetError(budgetMs);
      return null;
    },
  };
});
vi.mock("#src/machine/sessions/checkpoints/risky-commands.ts", () => ({
  isRiskyCommand: (_tool: string, input: unknown) => {
    bad.reads(JSON.stringify(input));
    return false;
  },
}));

type Chat = ReturnType<typeof aChat>;

const rows = ({ runtime, claude }: Chat): readonly journal.JournalRow[] =>
  runtime.store.read((sql) => journal.list(sql, claude.session, 0), []);

it("an event that takes too long is stored as it came, redacted and marked, an edit of a reserved file is refused all the same, and the session goes on @night", () => {
  const chat = aChat();
  const { runtime, claude } = chat;
  const other = anotherClaude(runtime, claude);
  for (const one of [claude, other]) {
    one.start();
    joinTeam(runtime, one);
  }
  claude.prompt("Bake the bread");
  reservationReceived(runtime, { resource: "file:parser/one.ts", holder: other.session, machine: "here" });
  const token = `ghp_${"a1B2".repeat(9)}`;
  const write = (name: string): string | undefined => {
    const tool_input = { content: `hang ${token} ${"x ".repeat(8_000)}`, file_path: join(claude.cwd, name) };
    const call = { tool_name: "Write", tool_input, tool_use_id: name };
    return claude.tell("PreToolUse", call).hookSpecificOutput?.permissionDecision;
  };
  expect([write("one.ts"), write("two.ts")]).toEqual(["deny", undefined]);
  claude.stop("The bread is baked.");
  const unread = rows(chat).flatMap(({ entry }) => (entry.kind === "unread" ? [entry] : []));
  expect(unread.at(-1)).toMatchObject({ of: "PreToolUse", text: expect.stringContaining("hang [redacted") as unknown });
  expect(JSON.stringify(rows(chat))).not.toContain(token);
  expect(runtime.logged.join()).toContain("PreToolUse was stored without being interpreted");
  const said = { prompts: [{ text: "Bake the bread" }], words: [{ text: "The bread is baked." }] };
  expect(stateOf(runtime, claude.session)).toMatchObject(said);
});

it("an entry that takes too long to fold is skipped, and by every later process; one that was slow among others is folded once", () => {
  const chat = aChat();
  const { runtime, claude } = chat;
  claude.start();
  claude.prompt("Bake the bread");
  claude.fail("Bash", { command: "bake" }, "Exit code 2: the oven is cold");
  runtime.store.write((sql) => {
    for (const text of ["hang", "Paint the shelf"])
      journal.append(sql, claude.session, runtime.now(), text, { kind: "prompt", text });
  });
  claude.stop("The shelf is white.");
  const unread = rows(chat).find((row) => row.entry.kind === "unread")?.entry;
  expect(unread).toMatchObject({ of: "prompt", text: expect.stringContaining('"text":"hang"') });
  const before = bad.calls;
  expect([capture(runtime, { sessionId: claude.session, trigger: "on_demand" }).ok, bad.calls]).toEqual([true, before]);
  const calls = [{ error: expect.stringContaining("the oven is cold") }];
  const prompts = [{ text: "Bake the bread" }, { text: "Paint the shelf" }];
  expect(stateOf(runtime, claude.session)).toMatchObject({ prompts, calls });
});

it("a prompt whose transaction runs again in full says once that the MCP process has died, and gives its news once", () => {
  const chat = aChat();
  const { runtime, claude } = chat;
  claude.start();
  const front = { client: runtime.processes.start(claude.pid) };
  runtime.fronts.connect(front);
  claude.prompt("begin");
  runtime.fronts.disconnect(front, true);
  hear(runtime, claude, aMessage("the oven is yours"));
  // What is committed to a file that has lost its name is written again.
  meanwhile.push(() => {
    const { store, paths } = runtime;
    const inode = inodeOf(paths.database);
    setAside(store.context, { inode, isCertain: true, isIndexOnly: false, isBehind: false, message: "by a test" });
  });
  const { systemMessage, hookSpecificOutput } = claude.prompt("bake");
  expect(systemMessage?.match(/MCP process has died/g)).toHaveLength(1);
  expect(hookSpecificOutput?.additionalContext?.match(/the oven is yours/g)).toHaveLength(1);
  expect(JSON.stringify(claude.prompt("go on"))).not.toMatch(/MCP process has died|the oven is yours/);
  const prompts = rows(chat).flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
  expect([prompts, existsSync(runtime.paths.setAside)]).toEqual([["begin", "bake", "go on"], true]);
});
