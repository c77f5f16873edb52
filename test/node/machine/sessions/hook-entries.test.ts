import { expect, it } from "vitest";
import { HookInput, type HookEvent } from "#src/contract/hooks.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { describeInput, entriesOf, noteEntries } from "#src/machine/sessions/hook-entries.ts";

function entries(event: HookEvent, fields: object): JournalEntry[] {
  return entriesOf(event, HookInput.parse({ session_id: "s", ...fields })).map(({ entry }) => entry);
}

function aNotice(status: string): string {
  return `<task-notification>\n<task-id>b9</task-id>\n<status>${status}</status>\n</task-notification>`;
}

const url = "https://github.com/o/r/pull/7";
const [plan, path] = ["first the parser", "/p/plan.md"];

it.each<[tool: string, input: object, response: unknown, shown: object, more?: JournalEntry]>([
  [
    "Bash",
    { command: "git worktree add -b next ../w main && echo ABC-12 UTF-8" },
    { stdout: `\u001b[32mmade\u001b[0m\n---\nsee ${url}\n`, exit_code: 0 },
    { output: `made / see ${url}`, exitCode: 0, names: ["worktree ../w", "ABC-12", url] },
  ],
  ["Bash", { command: "git worktree list; git worktree add -f" }, "", {}],
  [
    "Bash",
    { command: "cd lib && rm -f a.ts && git mv b.ts c.ts" },
    { output: "", backgroundTaskId: "b7" },
    { background: "b7", removed: ["/p/lib/a.ts", "/p/lib/b.ts"] },
  ],
  [
    "Agent",
    { description: "look", prompt: "x" },
    { isAsync: true, agentId: "a1", content: [{ text: "no" }] },
    { background: "a1", names: ['sub-agent "look" (a1)'] },
  ],
  [
    "Task",
    { name: "finder", description: "look" },
    { agentId: "a2", content: [{ text: "found" }, { text: "it" }] },
    { names: ['sub-agent "finder" (a2)'] },
    { kind: "subagent_end", id: "a2", text: "found\nit" },
  ],
  ["Task", { subagent_type: "Explore" }, { content: [] }, { names: ['sub-agent "Explore"'] }],
  ["mcp__tracker__get", { issue: "ABC-1", depth: 2 }, "", { names: ["ABC-1"] }],
  ["KillShell", { shell_id: "b7" }, {}, {}, { kind: "background_end", id: "b7" }],
  ["TaskOutput", { task_id: "b8" }, { task: { status: "completed" } }, {}, { kind: "background_end", id: "b8" }],
  ["TaskOutput", { task_id: "b8" }, { task: { status: "running" } }, {}],
  ["TaskUpdate", { taskId: "3", status: "deleted" }, {}, {}, { kind: "todo_removed", id: "3" }],
  ["ExitPlanMode", { plan, planFilePath: path }, {}, {}, { kind: "plan", text: plan, path }],
])("a call's end has what it printed, named, took, left running, ended: %s %j", (tool, input, answer, shown, more) => {
  const call = { tool_name: tool, tool_use_id: "t", cwd: "/p", tool_input: input, tool_response: answer };
  const [end, ...others] = entries("PostToolUse", call);
  const { kind, id, name, input: line, ...rest } = end as Extract<JournalEntry, { kind: "tool_end" }>;
  expect([kind, id, name, line]).toEqual(["tool_end", "t", tool, describeInput(input)]);
  expect([rest, ...others]).toEqual([shown, ...(more ? [more] : [])]);
});

it.each<[Parameters<typeof noteEntries>[0], JournalEntry[]]>([
  [{ kind: "recap", text: " half of it ", at: 1 }, [{ kind: "recap", text: "half of it" }]],
  [{ kind: "named", name: url, at: 1 }, [{ kind: "named", names: [url] }]],
  [{ kind: "ended", id: "b7", at: 1 }, [{ kind: "background_end", id: "b7" }]],
  [{ kind: "notice", text: aNotice("failed"), at: 1 }, [{ kind: "background_end", id: "b9" }]],
  [{ kind: "notice", text: aNotice("running"), at: 1 }, []],
])("what a client notes besides the conversation is an entry: %j", (note, expected) => {
  expect(noteEntries(note).map(({ entry }) => entry)).toEqual(expected);
  if (note.kind === "notice") expect(entries("UserPromptSubmit", { prompt: note.text })).toEqual(expected);
});
