import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { standingOf } from "#src/machine/sessions/life/questions.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";
const typed = "echo bangout > bang.txt; cat bang.txt";
const said = `! ${typed} [run by the user]`;

/** What each client writes, without the model: the rows of 2.1.332, 0.171.0, 1.0.102 and 0.61.0, cut. */
const rowsOf: Readonly<Record<string, (timestamp: string) => readonly object[]>> = {
  "claude-code": (timestamp) => [
    {
      type: "user",
      uuid: "i",
      parentUuid: "a",
      timestamp,
      message: { role: "user", content: `<bash-input>${typed}</bash-input>` },
    },
    {
      type: "user",
      uuid: "o",
      parentUuid: "i",
      timestamp,
      message: { role: "user", content: "<bash-stdout>bangout</bash-stdout><bash-stderr></bash-stderr>" },
    },
  ],
  codex: (timestamp) => [
    {
      timestamp,
      type: "event_msg",
      payload: {
        type: "item_completed",
        item: {
          type: "CommandExecution",
          id: "7ee28e9c",
          command: ["/bin/bash", "-lc", typed],
          source: "user_shell",
          status: "completed",
          aggregated_output: "bangout\n",
          exit_code: 0,
        },
      },
    },
    {
      timestamp,
      type: "response_item",
      payload: {
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: `<user_shell_command>\n<command>\n${typed}\n</command>\n</user_shell_command>` },
        ],
      },
    },
  ],
  copilot: (timestamp) => [
    {
      type: "tool.user_requested",
      data: { toolCallId: "758bc545", toolName: "local_shell", arguments: { command: typed } },
      id: "d56cb5f8",
      timestamp,
    },
    {
      type: "tool.execution_complete",
      data: { toolCallId: "758bc545", isUserRequested: true, success: true, result: { content: "bangout" } },
      id: "4f77b23b",
      timestamp,
    },
  ],
  gemini: (timestamp) => [
    {
      id: "d8c567da",
      timestamp,
      type: "user",
      content: [
        {
          text: `I ran the following shell command:\n\`\`\`sh\n${typed}\n\`\`\`\n\nThis produced the following result:\n\`\`\`\nbangout\n\`\`\``,
        },
      ],
    },
  ],
};

const events: Readonly<Record<string, readonly [prompt: string, stop: string]>> = {
  gemini: ["BeforeAgent", "AfterAgent"],
};

it.each(Object.entries(rowsOf))(
  "%s: a command that the user runs in the chat is a deed of the user, and leaves no turn open",
  (client, rows) => {
    const runtime = tempRuntime();
    const path = join(temporaryFolder(), "rows.jsonl");
    writeFileSync(path, "");
    const own = { session_id: session, cwd: "/p", transcript_path: path };
    const chat = new RecordedClient(runtime, client);
    const [prompt, stop] = events[client] ?? ["UserPromptSubmit", "Stop"];
    chat.report(prompt, { ...own, prompt: "paint it" }, { COPILOT_CLI: "1" });
    runtime.wait(1_000);
    chat.report(stop, own, { COPILOT_CLI: "1" });
    runtime.wait(20_000);
    const timestamp = new Date(runtime.now()).toISOString();
    appendFileSync(
      path,
      rows(timestamp)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(""),
    );
    runtime.wait(20_000);
    chat.report("SessionEnd", { ...own, reason: "other" }, { COPILOT_CLI: "1" });
    const prompts = chat.entries(session).filter(({ kind }) => kind === "prompt" || kind === "turn_end");
    expect(prompts).toMatchObject([{ text: "paint it" }, { kind: "turn_end" }, { text: said }, { kind: "turn_end" }]);
    expect(chat.life(session)).toSatisfy((life: Parameters<typeof standingOf>[0]) => standingOf(life) === "waiting");
  },
);

it.each(["codex", "copilot"])("%s: a command that the user runs while the model works ends no turn", (client) => {
  const runtime = tempRuntime();
  const path = join(temporaryFolder(), "rows.jsonl");
  writeFileSync(path, "");
  const own = { session_id: session, cwd: "/p", transcript_path: path };
  const chat = new RecordedClient(runtime, client);
  chat.report("UserPromptSubmit", { ...own, prompt: "build it" });
  chat.report("PreToolUse", { ...own, tool_name: "Bash", tool_input: { command: "make" }, tool_use_id: "call_1" });
  runtime.wait(20_000);
  const rows = rowsOf[client]?.(new Date(runtime.now()).toISOString()) ?? [];
  appendFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), session));
  const kinds = chat.entries(session).map(({ kind }) => kind);
  expect(kinds).toEqual(["prompt", "tool_start", "prompt"]);
  expect(chat.life(session)?.calls).toMatchObject([{ name: "Bash", input: "make" }]);
});
