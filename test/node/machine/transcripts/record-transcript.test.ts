import * as journal from "#src/machine/sessions/journal.ts";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { catchUp } from "#src/machine/transcripts/record-transcript.ts";
import { aLiveClaude, type Claude, journalKinds, stateOf, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aToolResultLine, aUserLine, aToolUse, aTranscript } from "#harness/machine/transcripts.ts";
import { appendFileSync, mkdirSync, writeFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readInSteps } from "#src/machine/signals/observe.ts";
import { clientsWithRows, openCodeExport, writtenRows, type Turn } from "#harness/clients/invented-sessions.ts";
import { importTranscript } from "#src/machine/transcripts/import-transcript.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";

function timeOf(runtime: TempRuntime): { readonly timestamp: string } {
  return { timestamp: new Date(runtime.now()).toISOString() };
}

function promptsOf(runtime: TempRuntime, { session }: Claude): string[] | undefined {
  return stateOf(runtime, session)?.prompts.map(({ text }) => text);
}

function count(runtime: TempRuntime, { session }: Claude, kind: string): number {
  return journalKinds(runtime, session).filter((one) => one === kind).length;
}

it("a prompt that the model got in its turn is taken from the transcript, and once where its event came too", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "rename it");
  const transcribe = (prompt: string): void => {
    const attachment = { type: "queued_command", prompt, commandMode: "prompt" };
    claude.transcribe(JSON.stringify({ type: "attachment", attachment, uuid: prompt, ...timeOf(runtime) }));
  };
  runtime.wait(60_000);
  transcribe("also the tests");
  claude.use("Bash", { command: "ls" });
  claude.prompt("and the docs");
  transcribe("and the docs");
  claude.use("Bash", { command: "ls docs" });
  transcribe("then commit");
  claude.prompt("then commit");
  claude.use("Bash", { command: "git status" });
  expect(promptsOf(runtime, claude)).toEqual(["rename it", "also the tests", "and the docs", "then commit"]);
});

it("the words of a refusal are a prompt once, before the answer to them, and also where they are the chat's last row", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "rename it");
  const refusal =
    "The user doesn't want to proceed with this tool use. The tool use was rejected. To tell you how to proceed, the user said:\n";
  const refuse = (words: string): void => {
    const id = claude.begin("Edit", { file_path: "/nonexistent/project/a.ts" });
    runtime.wait(5_000);
    claude.transcribe(aToolResultLine(id, `${refusal}${words}`, true, timeOf(runtime)));
  };
  refuse("not this file");
  runtime.wait(10);
  claude.say("I leave it as it is.");
  claude.stop("I leave it as it is.");
  claude.prompt("go on");
  refuse("only the tests");
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(promptsOf(runtime, claude)).toEqual(["rename it", "not this file", "go on", "only the tests"]);
  expect(["assistant", "turn_end"].map((kind) => count(runtime, claude, kind))).toEqual([1, 1]);
});

it("an interruption is taken from the transcript with the next prompt, and by the reading after a death", () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime, "rename it");
  const stop = (): number => {
    runtime.wait(5_000);
    claude.transcribe(aUserLine("[Request interrupted by user for tool use]", timeOf(runtime)));
    return runtime.now();
  };
  claude.begin("Bash", { command: "make" });
  const first = stop();
  runtime.wait(5_000);
  claude.prompt("only the tests");
  expect(stateOf(runtime, claude.session)).toMatchObject({ interruptedAt: first, runningTools: [] });
  claude.begin("Bash", { command: "make test" });
  const second = stop();
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(stateOf(runtime, claude.session)).toMatchObject({ interruptedAt: second, runningTools: [] });
  expect(count(runtime, claude, "interrupted")).toBe(2);
});

const written = { timestamp: "2030-01-01T00:00:00.000Z", isSidechain: true, agentId: "a1" };

/** A chat with a sub-agent in the background. */
function aChatWithSubagent() {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  writeFileSync(claude.transcript, "");
  const file = join(dirname(claude.transcript), claude.session, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(file), { recursive: true });
  const calls = (...ids: string[]): void => {
    for (const id of ids) {
      const use = aToolUse(id, "Write", { file_path: `${claude.cwd}/${id}.ts` });
      const lines = [anAssistantLine({ content: [use], stop_reason: "tool_use" }, written)];
      appendFileSync(file, aTranscript(...lines, aToolResultLine(id, "ok", false, written)));
    }
  };
  const names = (): string[] =>
    runtime.store
      .read((sql) => journal.list(sql, claude.session, 0), [])
      .flatMap(({ entry }) => (entry.kind === "tool_end" ? [`${entry.id}: ${entry.name}`] : []));
  return { runtime, claude, calls, names };
}

it("a sub-agent's calls without events are read with the next prompt, once, and count in the message", () => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  const fields = { tool_name: "Write", tool_use_id: "one", tool_input: {}, agent_id: "a1", agent_type: "general" };
  for (const event of ["PreToolUse", "PostToolUse"] as const) claude.tell(event, fields);
  calls("one", "two", "three");
  expect(claude.prompt("go on").systemMessage).toContain("2 tool calls did not reach the MCP process");
  claude.tell("PostToolUse", { ...fields, tool_use_id: "two" });
  expect(claude.prompt("and now?").systemMessage).toBeUndefined();
  expect(names()).toEqual(["one", "two", "three"].map((id) => `${id}: Write (subagent)`));
  expect(storedSession(runtime, claude.session).toolCalls).toBe(3);
  expect(stateOf(runtime, claude.session)?.files).toContainEqual(expect.objectContaining({ action: "edited" }));
});

it.each([true, false])("after a death a sub-agent's calls are read; new words of the chat: %s", (isNew) => {
  const { runtime, claude, calls, names } = aChatWithSubagent();
  calls("one");
  if (isNew) claude.transcribe(anAssistantLine({}, { timestamp: written.timestamp }));
  runtime.store.write((sql) => catchUp(sql, runtime.now(), claude.session));
  expect(names()).toEqual(["one: Write (subagent)"]);
});

it("a transcript that has grown by much is read in steps, between which others have their turns, and nothing is left out", async () => {
  const runtime = tempRuntime();
  const claude = aLiveClaude(runtime);
  claude.prompt("begin");
  const said = Array.from({ length: 90 }, (_, n) => `answer ${n} ${"word ".repeat(2_000)}`);
  claude.transcribe(...said.map((text) => anAssistantLine({ content: [{ type: "text", text }] })));
  const turns = { count: 0, isOver: false };
  const take = (): void => {
    turns.count += 1;
    if (!turns.isOver) setImmediate(take);
  };
  setImmediate(take);
  await readInSteps(runtime, claude.session);
  turns.isOver = true;
  expect(turns.count).toBeGreaterThan(10);
  const { transcriptOffset } = storedSession(runtime, claude.session);
  expect(statSync(claude.transcript).size - transcriptOffset).toBeLessThan(65_537);
  const texts = runtime.store
    .read((sql) => journal.list(sql, claude.session, 0), [])
    .flatMap(({ entry }) => (entry.kind === "assistant" ? [entry.text.split(" ")[1]] : []));
  expect(texts).toEqual(said.slice(0, texts.length).map((_, n) => String(n)));
  expect(texts.length).toBeGreaterThan(80);
});

/** What a brief says of an imported file, and how many prompts, where it calls its count complete; null: refused. */
async function shownOf(runtime: TempRuntime, bytes: Buffer, name = "old.jsonl") {
  const path = join(runtime.paths.home, "..", name);
  writeFileSync(path, bytes);
  const imported = await importTranscript(runtime, { path, folder: "/p" });
  if (!imported.ok) return null;
  const from = restoreById(runtime, imported.value.session);
  if (from === null) throw new Error("it was not stored");
  const text = brief(from, runtime.now(), "brief");
  const [, complete = null] = /\d+ of (\d+) prompts quoted/.exec(text) ?? [];
  const hasEnd = text.includes("the end of the conversation is there");
  return { text, complete: complete && Number(complete), hasEnd };
}

/** Words that stand in no other text. */
function turnsOf(count: number): Turn[] {
  return Array.from({ length: count }, (_, index) => ({
    prompt: `Paint boat number ${index} in colour ${index * 7}.`,
    answer: `Boat ${index} is painted.`,
  }));
}

/** Damages a file that has these rows; each way loses something, or nothing. */
type Damage = (rows: readonly string[], at: number, within: number) => Buffer;

function fileOf(rows: readonly string[]): Buffer {
  return Buffer.from(`${rows.join("\n")}\n`);
}

/** A point inside of a row, not at its ends. */
function inside(row: string, within: number): number {
  return 1 + Math.floor(within * (row.length - 2));
}

function withRow(rows: readonly string[], at: number, change: (row: string) => string): Buffer {
  return fileOf(rows.map((row, index) => (index === at ? change(row) : row)));
}

const losing: Readonly<Record<string, Damage>> = {
  "cut at the end": (rows, at, within) => {
    const last = rows[at] ?? "";
    return Buffer.from([...rows.slice(0, at), last.slice(0, inside(last, within))].join("\n"));
  },
  "cut at the beginning": (rows, at, within) => {
    const first = rows[at] ?? "";
    return fileOf([first.slice(inside(first, within)), ...rows.slice(at + 1)]);
  },
  "a cut row": (rows, at, within) => withRow(rows, at, (row) => row.slice(0, inside(row, within))),
  "a cut row before the next one": (rows, at, within) => {
    const cut = (rows[at] ?? "").slice(0, inside(rows[at] ?? "", within));
    return fileOf([...rows.slice(0, at), `${cut}${rows[at + 1] ?? ""}`, ...rows.slice(at + 2)]);
  },
  "zeros in a row": (rows, at, within) =>
    withRow(rows, at, (row) => {
      const from = inside(row, within);
      return `${row.slice(0, from)}${"\0".repeat(row.length - from)}`;
    }),
  "zeros for a row": (rows, at) => withRow(rows, at, (row) => "\0".repeat(row.length)),
  "bytes that are no text": (rows, at, within) => {
    const bytes = fileOf(rows);
    const start = Buffer.byteLength(rows.slice(0, at).join("\n")) + inside(rows[at] ?? "", within);
    return bytes.fill(0xff, start, Math.min(bytes.length, start + 3));
  },
};

const harmless: Readonly<Record<string, Damage>> = {
  "a byte order mark": (rows) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), fileOf(rows)]),
  "a byte order mark in a line": (rows, at) => withRow(rows, at, (row) => `\u{FEFF}${row}`),
  "lines of Windows": (rows) => Buffer.from(`${rows.join("\r\n")}\r\n`),
  "UTF-16": (rows) => Buffer.from(`\u{FEFF}${rows.join("\n")}\n`, "utf16le"),
  "two rows in one line": (rows, at) =>
    fileOf([...rows.slice(0, at), `${rows[at] ?? ""}${rows[at + 1] ?? ""}`, ...rows.slice(at + 2)]),
  "a row twice": (rows, at) => fileOf([...rows.slice(0, at + 1), ...rows.slice(at)]),
  "the file twice": (rows) => fileOf([...rows, ...rows]),
  "rows in another order": (rows, at) =>
    fileOf([...rows.slice(0, at), ...rows.slice(at, at + 2).toReversed(), ...rows.slice(at + 2)]),
  "empty lines": (rows, at) => fileOf([...rows.slice(0, at), "", "   ", ...rows.slice(at)]),
  "no line break at the end": (rows) => Buffer.from(rows.join("\n")),
};

const cases = fc.record({
  client: fc.constantFrom(...clientsWithRows),
  count: fc.integer({ min: 1, max: 6 }),
  row: fc.nat(),
  /** Share of the row. */
  within: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  lost: fc.constantFrom(...Object.keys(losing)),
  other: fc.constantFrom(...Object.keys(harmless)),
});

type Case = typeof cases extends fc.Arbitrary<infer One> ? One : never;

/** A brief may lack what is lost, and must not say that it has it. */
async function checkLoss(runtime: TempRuntime, { client, count, row, within, lost }: Case): Promise<void> {
  const turns = turnsOf(count);
  const rows = writtenRows(client, turns);
  const shown = await shownOf(runtime, losing[lost]?.(rows, row % rows.length, within) ?? Buffer.alloc(0));
  if (shown === null) return;
  const isThere = ({ prompt }: Turn): boolean => shown.text.includes(prompt);
  if (shown.complete !== null && !turns.every(isThere)) expect(shown).toMatchObject({ complete: null });
  if (!shown.text.includes(turns.at(-1)?.answer ?? "")) expect(shown).toMatchObject({ hasEnd: false });
  expect(shown.text).toContain("could not be read");
}

async function checkNoLoss(runtime: TempRuntime, { client, count, row, within, other }: Case): Promise<void> {
  const turns = turnsOf(count);
  const rows = writtenRows(client, turns);
  const shown = await shownOf(runtime, harmless[other]?.(rows, row % rows.length, within) ?? Buffer.alloc(0));
  expect(shown).toMatchObject({ complete: count });
  for (const { prompt } of turns) expect(shown?.text.split(prompt).length).toBe(2);
}

it.each([
  ["300 damages", 150, 150],
  ["10,000 damages @night", 6_000, 4_000],
])(
  "no brief of a damaged transcript claims what it lacks, and what is whole is read whole: %s",
  async (_, losses, others) => {
    const runtime = tempRuntime();
    const lost = fc.asyncProperty(cases, (given) => checkLoss(runtime, given));
    await fc.assert(lost, { numRuns: losses });
    const kept = fc.asyncProperty(cases, (given) => checkNoLoss(runtime, given));
    await fc.assert(kept, { numRuns: others });
  },
  1_800_000,
);

it("a document that is cut, or has zeros behind it, is read as far as it stands", async () => {
  const runtime = tempRuntime();
  const turns = turnsOf(3);
  const whole = Buffer.from(JSON.stringify(openCodeExport(turns)));
  expect(await shownOf(runtime, whole, "export.json")).toMatchObject({ complete: 3, hasEnd: true });
  const padded = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), whole, Buffer.alloc(40)]);
  expect(await shownOf(runtime, padded)).toMatchObject({ complete: 3 });
  for (const share of [0.5, 0.7, 0.9]) {
    const cut = await shownOf(runtime, whole.subarray(0, Math.floor(share * whole.length)), "export.json");
    expect(cut).toMatchObject({ complete: null, hasEnd: false, text: expect.stringContaining("could not be read") });
    expect(cut?.text).toContain(turns[0]?.prompt);
  }
});
