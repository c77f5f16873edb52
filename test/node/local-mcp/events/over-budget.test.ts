import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { aChat, anotherClaude, stateOf } from "#harness/machine/claude.ts";
import { joinTeam, reservationReceived } from "#harness/team/team-rig.ts";

/** A new expression that nobody has checked; it hangs at the word, and counts how often. */
const bad = vi.hoisted(() => ({
  calls: 0,
  reads(text: string): void {
    if (!text.includes("hang")) return;
    this.calls += 1;
    new RegExp("^(?:a+)+$").test(`${"a".repeat(60)}!`);
  },
}));

/**
 * Ends at once like an expression that hangs at "hang", and at "shelf" where another prompt was read before; at
 * "busy" once, as where the machine has kept the processor from it.
 */
vi.mock("#src/machine/sessions/slash-command.ts", async () => {
  const { OverBudgetError, budgetMs } = await import("#src/platform/time-budget.ts");
  let last = "";
  let isBusy = true;
  return {
    isSlashCommand: (prompt: string) => {
      if (!isBusy || !prompt.includes("busy")) return false;
      isBusy = false;
      throw new OverBudgetError(0);
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

it("a prompt that is recorded a second time tells its user that the MCP process has died all the same", () => {
  const { runtime, claude } = aChat();
  claude.start();
  const front = { client: runtime.processes.start(claude.pid) };
  runtime.fronts.connect(front);
  claude.prompt("begin");
  runtime.fronts.disconnect(front, true);
  expect(claude.prompt("a busy machine").systemMessage).toContain("MCP process has died");
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
});
