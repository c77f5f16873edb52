import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { aChatInRepository, briefAfter } from "#harness/machine/chat-in-repository.ts";
import { aChat } from "#harness/machine/claude.ts";
import { aSeededHome } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import { anAssistantLine, aTranscript, aUserLine } from "#harness/machine/transcripts.ts";

function lineOf(brief: string, start: string): string | undefined {
  return brief.split("\n").find((line) => line.startsWith(start));
}

async function imported(text: string): Promise<string> {
  const home = aSeededHome();
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, text);
  return String((await home.json(`resume --json --from-transcript ${path}`))["brief"]);
}

const printed = (stdout: string): object => ({ stdout, stderr: "", interrupted: false });

it("of the newest three commands a brief has the last line that each printed, also where reading followed", () => {
  const { runtime, claude } = aChat();
  claude.prompt("test the hull");
  for (const name of ["mast", "bow", "keel", "stern"])
    claude.use(
      "Bash",
      { command: `npm test -- ${name} 2>&1 | tail -5` },
      printed(`PASS a\nPASS b\n${name}: 3 of 4 are tight\n\n`),
    );
  for (const name of ["a", "b", "c", "d", "e", "f"]) claude.use("Read", { file_path: `/p/${name}.ts` }, {});
  const text = briefAfter(runtime, claude);
  expect(text).toContain("- Bash npm test -- keel 2>&1 | tail -5 printed: PASS a / PASS b / keel: 3 of 4 are tight\n");
  expect(["mast", "bow", "keel", "stern"].map((name) => text.includes(`${name}: 3 of 4`))).toEqual([
    false,
    true,
    true,
    true,
  ]);
  claude.use("Bash", { command: "env" }, printed(`${"x ".repeat(400)}\nDB_PASSWORD=hunter2hunter2 is set`));
  expect(briefAfter(runtime, claude)).not.toContain("hunter2");
});

const red = (text: string): string => `\u001b[1m\u001b[31m${text}\u001b[39m\u001b[0m`;

it("colours of an outcome take no room, of a command that failed either", () => {
  const { runtime, claude } = aChat();
  claude.prompt("test the hull");
  claude.use("Bash", { command: "npm test" }, printed(`${red("keel")}: ${red("2 of 4 are tight")}\n`));
  claude.fail("Bash", { command: "npm run paint" }, `Exit code 1\n${red("no blue")} is left`);
  const text = briefAfter(runtime, claude);
  expect(text).toContain("- Bash npm test printed: keel: 2 of 4 are tight\n");
  expect(text).toContain("- Bash npm run paint FAILED: Exit code 1 no blue is left\n");
});

it("the newest answers of sub-agents are quoted, whether an event or their call brings them", () => {
  const { runtime, claude } = aChat();
  claude.prompt("look at the sails");
  const content = [{ type: "text", text: "The jib has two holes." }];
  claude.use(
    "Agent",
    { description: "look at the jib", prompt: "look" },
    { status: "completed", agentId: "a1", content },
  );
  claude.tell("SubagentStop", {
    agent_id: "a1",
    agent_type: "Explore",
    last_assistant_message: "The jib has two holes.",
  });
  claude.tell("SubagentStop", {
    agent_id: "a2",
    agent_type: "Explore",
    last_assistant_message: "The mainsail is whole.",
  });
  const text = briefAfter(runtime, claude);
  expect(text).toMatch(
    /answers of its sub-agents:\n- [^\n]*: The jib has two holes\.\n- [^\n]*: The mainsail is whole\.\n/,
  );
  expect(text.match(/The jib has two holes/g)).toHaveLength(1);
});

it("what runs in the background stands beside how the chat stood until its end is seen", () => {
  const { runtime, claude } = aChat();
  const standing = (): string | undefined => {
    const from = restoreById(runtime, claude.session);
    return from === null ? undefined : lineOf(brief(from, runtime.now(), "brief"), "how it stood");
  };
  claude.prompt("serve it");
  const begin = (command: string, id: string): void => {
    claude.use("Bash", { command, run_in_background: true }, { ...printed(""), backgroundTaskId: id });
  };
  begin("npm run serve", "b1");
  begin("npm run watch", "b2");
  claude.stop("It is served.");
  expect(standing()).toMatch(
    /: the turn was over, and the chat waited for the user; in the background, with no end seen: Bash npm run serve \(begun \d+ s before\); Bash npm run watch \(begun \d+ s before\)$/,
  );
  claude.prompt(
    "<task-notification>\n<task-id>b1</task-id>\n<status>completed</status>\n<summary>done</summary>\n</task-notification>",
  );
  expect(standing()).not.toContain("npm run serve");
  claude.use("TaskStop", { task_id: "b2" }, { task_id: "b2", message: "stopped" });
  expect(standing()).not.toContain("background");
});

it.each([
  ["Process running with session ID 7\nOutput:\n", true],
  ["Process exited with code 0\nOutput:\nserved", false],
])("a command of Codex runs on until a call that waits for it has seen its end: %j", async (waited, isRunning) => {
  const run = { name: "exec_command", arguments: JSON.stringify({ cmd: "npm run serve" }), call_id: "c1" };
  const wait = { name: "write_stdin", arguments: JSON.stringify({ session_id: 7, chars: "" }), call_id: "c2" };
  const rows = [
    codexHead("0.144.1"),
    codexRow(1, "event_msg/user_message", { message: "serve it" }),
    codexRow(2, "response_item/function_call", run),
    codexRow(3, "response_item/function_call_output", {
      call_id: "c1",
      output: "Process running with session ID 7\nOutput:\nlistening",
    }),
    codexRow(4, "response_item/function_call", wait),
    codexRow(5, "response_item/function_call_output", { call_id: "c2", output: waited }),
    codexRow(6, "event_msg/agent_message", { message: "It is served." }),
    codexRow(7, "event_msg/task_complete", { last_agent_message: "It is served." }),
  ];
  const standing = lineOf(await imported(rows.map((one) => JSON.stringify(one)).join("\n")), "how it stood") ?? "";
  expect(standing).toContain("the turn was over");
  expect(standing.includes("in the background, with no end seen: Bash npm run serve")).toBe(isRunning);
});

it("a file that the chat itself took away by a command is said to be deleted by it; one that others took is missing", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.prompt("tidy up");
  mkdirSync(path("old"));
  for (const name of ["a.md", "b.md", "kept.md", "old/c.md", "moved.md", "draft-1.md"]) claude.write(path(name), name);
  git(claude.cwd, "add", ".");
  claude.use("Bash", {
    command: `cd ${claude.cwd} && rm -f a.md draft-*.md && git rm -rf old && mv moved.md new.md; test -f b.md || rm kept.md`,
  });
  for (const name of ["a.md", "b.md", "old", "moved.md", "draft-1.md"]) rmSync(path(name), { recursive: true });
  const text = briefAfter(runtime, claude);
  const lines = text.split("\n").filter((line) => /^- \S+ \((?:created|edited)\): /.test(line));
  const states = new Map(lines.map((line) => [/^- (\S+) /.exec(line)?.[1], line.split("): ")[1]]));
  const deleted = "deleted, as the chat left it";
  expect(["a.md", "old/c.md", "moved.md", "draft-1.md"].map((name) => states.get(name))).toEqual([
    deleted,
    deleted,
    deleted,
    deleted,
  ]);
  expect(states.get("b.md")).toBe("MISSING");
  expect(states.get("kept.md")).not.toMatch(/AGAIN|deleted|MISSING/);
});

it("worktrees, sub-agents, pull requests and tasks of a tracker that calls have named are quoted", () => {
  const { runtime, claude } = aChat();
  claude.prompt("mend HULL-12");
  claude.use("Bash", { command: "git worktree add -b hull ../boat-hull main" });
  claude.use("Bash", { command: "git commit -m 'HULL-12: caulk it, in UTF-8'" });
  claude.use("mcp__tracker__update", { id: "HULL-13", path: "/p" });
  claude.use(
    "Agent",
    { description: "look at the keel", prompt: "look" },
    { isAsync: true, agentId: "a7", status: "async_launched" },
  );
  claude.use("Bash", { command: "gh pr create --fill" }, printed("Creating\nhttps://github.com/o/boat/pull/31\n"));
  expect(lineOf(briefAfter(runtime, claude), "named in its calls")).toBe(
    'named in its calls, newest last: worktree ../boat-hull, HULL-12, HULL-13, sub-agent "look at the keel" (a7), https://github.com/o/boat/pull/31',
  );
});

const row = (fields: object): string => JSON.stringify({ timestamp: "2026-01-02T10:00:09.000Z", ...fields });

it("of Claude Code's own rows the pull requests that it links are named, and its account for a user who was away is quoted", async () => {
  const said = anAssistantLine({ id: "m1", content: [{ type: "text", text: "I opened it." }] });
  const text = await imported(
    aTranscript(
      aUserLine("open a pull request"),
      said,
      row({ type: "pr-link", prNumber: 31, prUrl: "https://github.com/o/boat/pull/31", prRepository: "o/boat" }),
      row({ type: "system", subtype: "away_summary", content: "The hull is tight, and its pull request is open." }),
    ),
  );
  expect(lineOf(text, "named in its calls")).toContain("https://github.com/o/boat/pull/31");
  expect(lineOf(text, "the client's own account of it")).toMatch(
    /: The hull is tight, and its pull request is open\.$/,
  );
});

it.each([
  ["Process exited with code 0\nOutput:\nok", "done"],
  ["Chunk ID: 1\nOutput:\nok", "unknown"],
])(
  "an exit code that Codex has recorded decides, and its output stands without the lines before it: %j",
  async (output, outcome) => {
    const call = { name: "exec_command", arguments: JSON.stringify({ cmd: "npm publish" }), call_id: "c1" };
    const rows = [
      codexHead("0.144.1"),
      codexRow(1, "event_msg/user_message", { message: "publish it" }),
      codexRow(2, "response_item/function_call", call),
      codexRow(3, "response_item/function_call_output", { call_id: "c1", output }),
    ];
    const text = await imported(rows.map((row) => JSON.stringify(row)).join("\n"));
    expect(text).toMatch(new RegExp(`ago: npm publish: ${outcome}`));
    expect(text).toContain("- Bash npm publish printed: ok\n");
  },
);

it("a search of an MCP server is shown by what it searches", () => {
  const { runtime, claude } = aChat();
  claude.prompt("find the leak");
  claude.use("mcp__index__search", { path: "/p/src", query: "where does water come in" }, {});
  expect(briefAfter(runtime, claude)).toContain("- mcp__index__search where does water come in in /p/src\n");
});
