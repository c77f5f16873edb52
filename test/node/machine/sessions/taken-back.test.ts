import { appendFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { listMoments } from "#src/machine/files/moments.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { timeline } from "#src/machine/recovery/session-view.ts";
import { readContent } from "#src/machine/sessions/session-content.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { readAppended } from "#src/clients/transcript.ts";
import { transcriptFormat } from "#src/clients/details.ts";
import { aChat, stateOf, type Claude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aUserLine } from "#harness/machine/transcripts.ts";

/** One turn in hooks and transcript: the prompt names the row before it. */
function turn(runtime: TempRuntime, claude: Claude, name: string, parent: string | null, filler = ""): string {
  runtime.wait(30_000);
  const timestamp = (): string => new Date(runtime.now()).toISOString();
  const [prompt, answer] = [`${name}-prompt`, `${name}-answer`];
  claude.prompt(`${name} please`);
  claude.transcribe(aUserLine(`${name} please`, { uuid: prompt, parentUuid: parent, timestamp: timestamp() }));
  claude.use("Bash", { command: `make ${name}` });
  const content = [{ type: "text", text: `${name} is done${filler}` }];
  const about = { uuid: answer, parentUuid: prompt, timestamp: timestamp() };
  claude.transcribe(anAssistantLine({ id: `msg_${name}`, content }, about));
  claude.stop(`${name} is done${filler}`);
  return answer;
}

function briefOf(runtime: TempRuntime, session: string): string {
  runtime.store.write((sql) => catchUp(sql, runtime.now(), session));
  const from = restoreById(runtime, session);
  return from === null ? "" : brief(from, runtime.now(), "brief");
}

it.each([
  ["as usual", 0],
  ["with turns of a megabyte", 1_100_000],
])("what the user took back by a rewind is told as taken back, never as asked for: %s", (_how, chars) => {
  const { runtime, claude } = aChat();
  claude.start();
  const filler = chars === 0 ? "" : ` ${"and on ".repeat(chars / 7)}`;
  const first = turn(runtime, claude, "alpha", null, filler);
  const second = turn(runtime, claude, "beta", first, filler);
  turn(runtime, claude, "gamma", second, filler);
  turn(runtime, claude, "delta", first, filler);
  claude.kill();
  const text = briefOf(runtime, claude.session);
  expect(stateOf(runtime, claude.session)?.prompts.map((one) => one.text)).toEqual(["alpha please", "delta please"]);
  expect(text).toContain("2 of 2 prompts quoted");
  if (chars === 0) expect(text).toMatch(/took back in the client[^]*beta please[^]*gamma please/);
  expect(text).not.toMatch(/(?:beta|gamma) is done|make (?:beta|gamma)/);
  const moments = runtime.store.read((sql) => listMoments(sql, claude.session), []);
  expect(moments.map(({ isTakenBack }) => isTakenBack)).toEqual([false, true, true, false]);
  const content = runtime.store.read((sql) => readContent(sql, claude.session), null);
  expect(content && timeline(content).filter(({ kind }) => kind === "taken_back")).toHaveLength(2);
});

it("a prompt that took back others is taken back like them, also where the transcript is imported", async () => {
  const { runtime, claude } = aChat();
  claude.start();
  const first = turn(runtime, claude, "alpha", null);
  turn(runtime, claude, "beta", first);
  const third = turn(runtime, claude, "gamma", first);
  turn(runtime, claude, "delta", third);
  turn(runtime, claude, "epsilon", third);
  turn(runtime, claude, "zeta", first);
  claude.end();
  const asked = ["alpha please", "zeta please"];
  expect(stateOf(runtime, claude.session)?.prompts.map(({ text }) => text)).toEqual(asked);
  const other = tempRuntime();
  const imported = await importTranscript(other, { path: claude.transcript, folder: claude.cwd });
  expect(imported.ok && stateOf(other, imported.value.session)?.prompts.map(({ text }) => text)).toEqual(asked);
});

const rowsOf = {
  "claude-code": {
    prompt: (id: string, parent: string | null) =>
      JSON.parse(aUserLine(`${id} please`, { uuid: id, parentUuid: parent })),
    back: (): object[] => [],
  },
  qwen: {
    prompt: (uuid: string, parentUuid: string | null) => ({
      uuid,
      parentUuid,
      type: "user",
      timestamp: "2026-09-01T10:00:00.000Z",
      message: { role: "user", parts: [{ text: `${uuid} please` }] },
    }),
    back: (parentUuid: string | null) => [{ uuid: "rewind", parentUuid, type: "system", subtype: "rewind" }],
  },
  gemini: {
    prompt: (id: string) => ({
      id,
      type: "user",
      timestamp: "2026-09-01T10:00:00.000Z",
      content: [{ text: `${id} please` }],
    }),
    back: (_parent: string | null, to: string) => [{ $rewindTo: to }],
  },
  codex: {
    prompt: (id: string) => ({
      timestamp: "2026-09-01T10:00:00.000Z",
      type: "event_msg",
      payload: { type: "user_message", message: `${id} please` },
    }),
    back: () => [{ type: "event_msg", payload: { type: "thread_rolled_back", num_turns: 2 } }],
  },
};

it.each(Object.entries(rowsOf))("%s: a rewind takes back prompts of parts that were read before", (client, form) => {
  const path = join(mkdtempSync(join(tmpdir(), "shim-rewind-")), "rows.jsonl");
  writeFileSync(path, "");
  const limits = { format: transcriptFormat(client) };
  let offset = 0;
  const read = (...rows: readonly object[]): string[] => {
    appendFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const part = readAppended(path, offset, limits);
    ({ offset } = part);
    return part.withdrawn.map(({ text }) => text);
  };
  expect(read(form.prompt("a", null))).toEqual([]);
  expect(read(form.prompt("b", "a"))).toEqual([]);
  expect(read(form.prompt("c", "b"))).toEqual([]);
  expect(read(...form.back("a", "b"), form.prompt("d", "a"))).toEqual(["b please", "c please"]);
});
