import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";

function aChat(client: string, prompt: string) {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, client);
  const path = join(temporaryFolder(), "events.jsonl");
  writeFileSync(path, "");
  const write = (...rows: readonly object[]): void =>
    appendFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const time = (): string => {
    runtime.wait(5_000);
    return new Date(runtime.now()).toISOString();
  };
  const ask = (text: string): void => {
    const own = { session_id: session, cwd: "/p", transcript_path: path };
    chat.report(prompt, { ...own, prompt: text }, { COPILOT_CLI: "1" });
  };
  const takenBack = (): unknown[] => {
    const entries = chat.entries(session);
    return entries.flatMap((entry) => (entry.kind === "taken_back" ? [entry.said] : []));
  };
  const prompts = (): string[] => {
    const entries = chat.entries(session);
    return entries.flatMap((entry) => (entry.kind === "prompt" ? [entry.text] : []));
  };
  return { runtime, path, write, time, ask, takenBack, prompts };
}

it("Copilot CLI, which cuts its file back to before a prompt: that prompt and those after it are taken back", () => {
  const { runtime, path, write, time, ask, takenBack, prompts } = aChat("copilot", "UserPromptSubmit");
  write({ type: "session.start", data: { sessionId: session }, id: "s", timestamp: time() });
  const asked: number[] = [];
  const sizes: number[] = [];
  for (const content of ["one", "two", "three"]) {
    sizes.push(readFileSync(path).length);
    const timestamp = time();
    ask(content);
    asked.push(runtime.now());
    write({ type: "user.message", data: { content }, id: content, timestamp });
    write({ type: "assistant.message", data: { content: `${content} done, as it was asked` }, id: "m", timestamp });
  }
  truncateSync(path, sizes[1]);
  // The kept rows are written anew, too.
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace('"session.start","data":{', '"session.start","data":{"version":1,'),
  );
  const message = "Rewound the conversation. Your files were left unchanged.";
  write({ type: "session.info", data: { message, infoType: "rewind" }, id: "r", timestamp: time() });
  time();
  ask("four");
  expect(takenBack()).toEqual(asked.slice(1));
  expect(prompts()).toEqual(["one", "two", "three", "four"]);
  write({ type: "user.message", data: { content: "four" }, id: "four", timestamp: time() });
  ask("five");
  expect(takenBack()).toEqual(asked.slice(1));
});

it("Gemini CLI: who goes back into a turn takes its prompt not back", () => {
  const { write, time, ask, takenBack } = aChat("gemini", "BeforeAgent");
  write({ sessionId: session, projectHash: "h", kind: "main" });
  const timestamp = time();
  ask("one");
  write({ id: "u1", timestamp, type: "user", content: [{ text: "one" }] });
  write({ id: "g1", timestamp, type: "gemini", content: "", toolCalls: [] });
  const functionResponse = { id: "c", name: "write_file", response: { output: "done" } };
  write({ id: "u2", timestamp, type: "user", content: [{ functionResponse }] }, { $rewindTo: "u2" });
  time();
  ask("two");
  expect(takenBack()).toEqual([]);
});
