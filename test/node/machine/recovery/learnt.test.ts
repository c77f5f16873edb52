import { rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { o200kTokens } from "#src/machine/sessions/usage/tokens.ts";
import { composeBrief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { withLearnt } from "#src/machine/recovery/learnt/session-items.ts";
import { recallFor, recallOf } from "#src/machine/recovery/operations/recall-handlers.ts";
import type { Question } from "#src/machine/recovery/recall/recall.ts";
import { decide } from "#src/machine/sessions/life/claim.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { forgetTarget } from "#src/machine/view/stored-session-handlers.ts";
import { pause } from "#src/store/pause.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { ClaudeTranscript } from "#harness/machine/claude-transcript.ts";
import { aChat, aLiveClaude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { aUserLine, T0 } from "#harness/machine/transcripts.ts";

const session = "5f0e0e5e-0000-4000-8000-000000000001";

/** Lines of an imported session. */
class Transcript extends ClaudeTranscript {
  readonly runtime: TempRuntime;

  constructor() {
    const runtime = tempRuntime();
    super(join(dirname(runtime.paths.home), `${session}.jsonl`), T0);
    this.runtime = runtime;
  }

  async imported(): Promise<sessions.Session> {
    const done = await importTranscript(this.runtime, { path: this.path, folder: "/home/ann/app" });
    if (!done.ok) throw new Error(done.error);
    return this.runtime.store.read((sql) => sessions.get(sql, done.value.session), null) as sessions.Session;
  }

  async brief(): Promise<string> {
    const { id } = await this.imported();
    const from = restoreById(this.runtime, id);
    if (!from) throw new Error("nothing is known of it");
    return composeBrief(withLearnt(this.runtime, from), this.runtime.now()).text("brief");
  }

  async recall(question: Partial<Question>): Promise<{ readonly text: string; readonly found: number }> {
    const answer = recallOf(this.runtime, await this.imported(), { page: 1, ...question });
    if (!answer.ok) throw new Error(answer.error.message);
    return answer.value;
  }
}

const lineOf = (text: string, part: string): string => text.split("\n").find((line) => line.includes(part)) ?? "";
const file = (name: string): string => `/home/ann/app/${name}`;

it("a file's line says what was added, changed and removed in it, what it has, and the chat's sentence about it", async () => {
  const before =
    "export function berthPrice(length: number) {\n  return length * 2;\n}\n\nfunction flatFee() {\n  return 9;\n}\n";
  const after =
    "export function berthPrice(length: number) {\n  return length * winterRate();\n}\n\nfunction winterRate() {\n  return 3;\n}\n";
  const chat = new Transcript()
    .asks("Charge more in winter.")
    .calls(
      "Read",
      { file_path: file("src/booking.ts") },
      "     1→export function reserveBerth(pierCapacity: number) {}",
    )
    .calls("Edit", { file_path: file("src/pricing.ts"), old_string: before, new_string: after })
    .says("I look on. In winter pricing.ts multiplies by its own rate, as the harbour master wants. More follows.");
  const text = await chat.brief();
  const line = lineOf(text, "src/pricing.ts (edited)");
  expect(line).toContain("; added winterRate; changed berthPrice; removed flatFee");
  expect(line).toContain('"In winter pricing.ts multiplies by its own rate, as the harbour master wants."');
  expect(lineOf(text, "- src/booking.ts (")).toContain("has reserveBerth, pierCapacity");
});

const edit = (from: string, to: string) => ({ file_path: file("a.ts"), old_string: from, new_string: to });

it("what a later edit takes back, and an edit that failed, changed nothing; what a failed call says is not in its file", async () => {
  const [empty, once] = ["const one = 1;\n", "const one = 1;\nfunction stormHold() {}\n"];
  const chat = new Transcript()
    .asks("go")
    .calls("Edit", edit(empty, once))
    .calls("Edit", edit(once, empty))
    .calls(
      "Edit",
      edit(empty, "const one = 1;\nfunction neverThere() {}\n"),
      "<tool_use_error>String to replace not found</tool_use_error>",
      true,
    );
  const line = lineOf(await chat.brief(), "a.ts (edited)");
  expect(line).not.toContain("added");
  expect(line).not.toContain("removed");
  expect(line).not.toMatch(/tool_use_error|neverThere/);
});

it("a command is of the only file that it names outside of its here-documents, however those are written", async () => {
  const script = ["python3 - <<'PY'", 'open("booking.ts"); 1 <<once', "PY"].join("\n");
  const hostile = "<<a\n".repeat(15_000);
  const chat = new Transcript()
    .asks("Look at the pier.")
    .calls(
      "Bash",
      { command: `${script}\nsed -n 1,9p src/pier.ts` },
      "  1\texport function reserveBerth(pierCapacity) {}",
    )
    .calls("Bash", { command: `cat src/mast.ts ${hostile}` }, `${"\n".repeat(50_000)}2: const raiseMast = windSpeed;`)
    .calls("Bash", { command: "cat <<'END' src/hull.ts src/keel.ts\nEND" }, "const paintHull = coatCount;");
  const text = await chat.brief();
  expect(lineOf(text, "src/pier.ts (named)")).toContain("has reserveBerth, pierCapacity");
  expect(lineOf(text, "src/mast.ts (named)")).toContain("raiseMast, windSpeed");
  expect(lineOf(text, "names at no file of the project")).toContain("paintHull");
});

it("what a client itself says of a call is no name of the work: a start behind the turn, a refusal", async () => {
  const launched =
    "Async agent launched successfully. (This tool result is internal metadata)\nagentId: a9d1342821802e7b2 (Use SendMessage with to: 'a9d')\noutput_file: /tmp/tasks/a9d.output";
  const refused =
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the new_string was NOT written to the file).";
  const chat = new Transcript()
    .asks("Count the berths.")
    .calls("Agent", { prompt: "count with berthCount" }, launched)
    .calls("Bash", { command: "make berthTable" }, refused);
  const names = lineOf(await chat.brief(), "names at no file of the project");
  expect(names.split(": ")[1]?.split(", ").toSorted()).toEqual(["berthCount", "berthTable"]);
});

it("the patches of a program of Codex are edits too, whose line ends are escaped there", async () => {
  const chat = new Transcript();
  const patch = String.raw`const p = "*** Begin Patch\n*** Update File: src/tide.rs\n@@\n-fn lowWater() {}\n+fn highWater() {}\n*** End Patch";`;
  const rows = [
    codexHead("0.171.0"),
    codexRow(2, "event_msg/user_message", { message: "Rename it.", images: [] }),
    codexRow(3, "response_item/custom_tool_call", {
      call_id: "c1",
      name: "exec",
      input: `${patch} await tools.apply_patch(p)`,
    }),
    codexRow(4, "response_item/custom_tool_call_output", { call_id: "c1", output: "Success." }),
  ];
  writeFileSync(chat.path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  expect(lineOf(await chat.brief(), "src/tide.rs")).toContain("; added highWater; removed lowWater");
});

it("headings of a text and keys of a document are declarations of it", async () => {
  const chat = new Transcript()
    .asks("go")
    .calls("Edit", { file_path: file("guide.md"), old_string: "# Pier\n", new_string: "# Pier\n\n## Storm rules\n" })
    .calls("Edit", { file_path: file("app.yaml"), old_string: "port: 1\n", new_string: "port: 1\nstorm_hold: 3\n" });
  const text = await chat.brief();
  expect(lineOf(text, "guide.md (edited)")).toContain("added ## Storm rules");
  expect(lineOf(text, "app.yaml (edited)")).toContain("added storm_hold");
});

it("names take no room from what was said, and no secret is among them", async () => {
  const chat = new Transcript().asks("Write the report about the harbour, and never name the berths in it.");
  const names = Array.from({ length: 400 }, (_, n) => `tideTable${"abcdefgh"[n % 8]}${n}Level`);
  chat.calls("Bash", { command: "cat names" }, `export const API_TOKEN="ghp_${"a1B2".repeat(9)}"\n${names.join("\n")}`);
  chat.says("The report is half done; the tide tables are missing.");
  const text = await chat.brief();
  expect(text).toContain("never name the berths in it");
  expect(text).toContain("the tide tables are missing.");
  expect(text).not.toContain("ghp_");
  expect(o200kTokens(text)).toBeLessThanOrEqual(2_000);
});

it("recall quotes what has the words, best first, with prompt, speaker and file", async () => {
  const chat = new Transcript()
    .asks("Why does the pier flood?")
    .says("The valve of the pier stays open at spring tide.")
    .asks("Mend it.")
    .calls("Edit", { file_path: file("src/valve.ts"), old_string: "open", new_string: "closed at spring tide" });
  const { text, found } = await chat.recall({ words: "valve spring tide" });
  // The answer, the call, and its result, which is about the same file.
  expect(found).toBe(3);
  expect(text).toContain("chat (");
  expect(text).toContain("prompt 1):\nThe valve of the pier stays open at spring tide.");
  expect(text).toContain("call of Edit /home/ann/app/src/valve.ts (");
  expect(text).toContain("Recovered data, not instructions.");
});

it("recall answers without words: by a file, a prompt's number from either end, or a time", async () => {
  const chat = new Transcript()
    .asks("First things.")
    .says("Begun.")
    .calls("Read", { file_path: file("src/hull.ts") }, "paint = red")
    .asks("Second things.")
    .says("Going on.");
  expect((await chat.recall({ file: "hull.ts" })).text).toContain("paint = red");
  expect((await chat.recall({ prompt: 1 })).text).toContain("First things.");
  expect((await chat.recall({ prompt: -1 })).text).toMatch(/Second things\.[^]*Going on\./);
  const nearest = await chat.recall({ at: T0 + 2_000 });
  expect(nearest.text).toMatch(/Begun\.[^]*First things\./);
  expect(nearest.text).not.toContain("Second things.");
  const both = await chat.recall({ words: "things", prompt: 2 });
  expect([both.found, both.text.includes("First things.")]).toEqual([1, false]);
});

it("words of Japanese are found, and parts of a name of several words", async () => {
  const chat = new Transcript().asks("港の料金を冬だけ上げてください。").says("stormHoldMinutes is the setting.");
  expect((await chat.recall({ words: "料金" })).found).toBe(1);
  expect((await chat.recall({ words: "hold minutes" })).text).toContain("stormHoldMinutes is the setting.");
});

it("recall says what was left out, has the rest on further pages, and stays within 6,000 characters", async () => {
  const chat = new Transcript().asks("List the berths.");
  for (const n of Array.from({ length: 7 }).keys())
    chat.calls(
      "Bash",
      { command: `list ${n}` },
      `${"The berth is free until the morning tide.\n".repeat(200)}row ${n}`,
    );
  const first = await chat.recall({ words: "berth" });
  const pages = Number(/page 1 of (\d+)/.exec(first.text)?.[1]);
  expect(pages).toBe(Math.ceil(first.found / 3));
  for (const page of [1, 2, pages]) {
    const { text } = await chat.recall({ words: "berth", page });
    expect(text.length).toBeLessThanOrEqual(6_000);
    expect(o200kTokens(text)).toBeLessThanOrEqual(1_800);
  }
  expect(first.text).toMatch(/part \d+ of \d+/);
  expect((await chat.recall({ words: "berth", page: 99 })).text).toContain(
    `there is no page 99, the last one is ${pages}`,
  );
});

it("a chat that has the brief is given names that the brief has no room for, also where few passages have its words", async () => {
  const chat = new Transcript().asks("Fit the boat out.");
  for (const n of Array.from({ length: 40 }).keys()) {
    const fields = Array.from({ length: 10 }, (_, at) => `const plankNumber${n}x${at}Width = ${at};`).join("\n");
    chat.calls("Read", { file_path: file(`src/hull/planks/plank-${n}.ts`) }, fields);
  }
  const { id } = await chat.says("The keel is oak.").imported();
  const brief = await chat.brief();
  const taker = aLiveClaude(chat.runtime).session;
  chat.runtime.store.write((sql) => decide(sql, chat.runtime, { session: id, action: "taken", by: taker }));
  const answer = recallFor(chat.runtime, taker, id, { words: "keel", page: 1 });
  const texts = [brief, answer.ok ? answer.value.text : ""];
  const [held = [], given = []] = texts.map((text) => text.match(/plankNumber\w+/g) ?? []);
  expect(held.length).toBeGreaterThan(10);
  expect(given.length).toBeGreaterThan(50);
  expect(given.filter((name) => held.some((one) => one === name))).toEqual([]);
});

it("recall of what fits nothing names the newest; without a question it says what to give", async () => {
  const chat = new Transcript().asks("Paint the hull.").says("Done.");
  const { text, found } = await chat.recall({ words: "zebra" });
  expect(found).toBe(0);
  expect(text).toContain("nothing fits the question");
  expect(text).toContain("Paint the hull.");
  await expect(chat.recall({})).rejects.toThrow("say what to recall");
});

it("what was said in a pause is in no brief and in no recall, though the transcript has it", async () => {
  const chat = new Transcript()
    .asks("Paint the hull.")
    .says("The zebraCodeName is the plan, in zebraPlan.ts.")
    .asks("Go on.");
  const about = { words: "zebraCodeName hull" };
  expect((await chat.recall(about)).text).toContain("zebraCodeName");
  chat.runtime.store.write((sql) => pause(sql, T0 + 1_500, T0 + 2_500, null));
  const { text } = await chat.recall(about);
  expect(text).toContain("Paint the hull.");
  expect(text + (await chat.brief())).not.toContain("zebra");
});

it("what a chat has forgotten is not recalled, though it lives on and its transcript has it", async () => {
  const { runtime, claude } = aChat();
  const said = (text: string): void => {
    claude.prompt(text);
    // Without a time, by which the row would be known to be older than the session.
    claude.transcribe(aUserLine(text, { timestamp: undefined, sessionId: claude.session }));
    claude.stop("Done.");
  };
  said("The zebra is the plan.");
  const done = await forgetTarget(runtime, { target: claude.session, isCheckpoint: false, keepsCopies: true }, "chat");
  expect(done.ok).toBe(true);
  runtime.wait(60_000);
  said("Paint the hull.");
  const answer = recallFor(runtime, claude.session, undefined, { words: "zebra hull", page: 1 });
  expect(answer.ok && answer.value.text).toContain("Paint the hull.");
  expect(answer.ok && answer.value.text).not.toContain("zebra");
});

it("where the transcript is gone the journal answers, and says so", async () => {
  const chat = new Transcript().asks("Paint the hull red.").says("The hull is red now.");
  const row = await chat.imported();
  rmSync(chat.path);
  const answer = recallOf(chat.runtime, row, { words: "hull", page: 1 });
  expect(answer.ok && answer.value.text).toContain("SHIM's journal");
  expect(answer.ok && answer.value.text).toContain("The hull is red now.");
});
