import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { invented, writeSession } from "#harness/clients/broken-sessions.ts";
import { aCliHome, addSession, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { filesOf, known } from "#harness/clients/breaks.ts";

interface Row {
  uuid?: string;
  parentUuid?: string | null;
  [name: string]: unknown;
}
type Break = (rows: Row[], home: CliHome) => (Row | string)[];

const uuidOf = (number: number | string): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const joined = (...rows: readonly unknown[]): string => rows.map((row) => JSON.stringify(row)).join("");
const prompts = [0, 1, 2, 3].map((number) => `prompt ${number}`);

function said(number: number): Row {
  return number % 2 === 0
    ? { type: "user", message: { role: "user", content: `prompt ${number / 2}` } }
    : {
        type: "assistant",
        message: { id: `msg_${number}`, role: "assistant", model: "m", content: [{ type: "text", text: "Done." }] },
      };
}

/** Four prompts of Claude Code with an answer each, rows 0 to 7, a minute apart. */
function eightRows(sessionId: string, cwd: string): Row[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((number) =>
    Object.assign(said(number), {
      parentUuid: number === 0 ? null : uuidOf(number - 1),
      isSidechain: false,
      uuid: uuidOf(number),
      timestamp: `2026-11-25T10:0${number}:00.000Z`,
      sessionId,
      cwd,
      version: "2.1.328",
    }),
  );
}

const withParents =
  (changed: Readonly<Record<number, number | string | null>>): Break =>
  (rows) =>
    rows.map((row, at) => {
      const parent = changed[at];
      return parent === undefined ? row : { ...row, parentUuid: parent === null ? null : uuidOf(parent) };
    });

const checkpoint = (leaf: number): Row => ({ type: "last-prompt", lastPrompt: "x", leafUuid: uuidOf(leaf) });
const progress = (number: number, parent: number): Row => ({
  type: "progress",
  uuid: uuidOf(number),
  parentUuid: uuidOf(parent),
  timestamp: "2026-11-25T10:03:00.000Z",
  isSidechain: false,
});
const aside = (parent: string | null, isSidechain = true): Row => ({
  type: "user",
  uuid: uuidOf(50),
  parentUuid: parent,
  isSidechain,
  timestamp: "2026-11-25T10:08:00.000Z",
  message: { role: "user", content: "look into it" },
});
const boundary: Row = {
  type: "system",
  subtype: "compact_boundary",
  uuid: uuidOf(60),
  parentUuid: null,
  logicalParentUuid: uuidOf(3),
  timestamp: "2026-11-25T10:03:30.000Z",
};
const summary: Row = {
  type: "user",
  isCompactSummary: true,
  uuid: uuidOf(61),
  parentUuid: uuidOf(60),
  timestamp: "2026-11-25T10:03:31.000Z",
  message: { role: "user", content: "What was done so far." },
};

function aBroken(breaks: Break) {
  const home = aCliHome();
  const session = invented("claude-code", home.project);
  const path = writeSession(home.folder, session, []);
  const rows = breaks(eightRows(session.id, home.project), home);
  writeFileSync(path, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  known(home, session);
  return { home, id: session.id, path };
}

/** As seen with the real Claude Code 2.1.197 and 2.1.328: what is broken, why, and prompts that the copy lacks. */
const damages: [what: string, breaks: Break, why: string, lacks?: readonly string[]][] = [
  ["a parent that was never written", withParents({ 4: "lost" }), "what stands before its line 5"],
  ["two such parents", withParents({ 2: "lost", 6: "gone" }), "what stands before its line 7"],
  ["such a parent in each row", withParents({ 1: "a", 2: "b", 3: "c", 4: "d", 5: "e", 6: "f", 7: "0a" }), "its line 8"],
  ["a loop", withParents({ 2: 5 }), "what stands before its line 3"],
  ["a row that names itself", withParents({ 4: 4 }), "what stands before its line 5"],
  ["a lost prompt", (rows) => rows.toSpliced(4, 1), "what stands before its line 5", ["prompt 2"]],
  ["two rows in one line", (rows) => rows.toSpliced(3, 2, joined(rows[3], rows[4]) as never), "before its line 5"],
  [
    "a cut row before a whole one",
    (rows) => rows.toSpliced(3, 2, `${joined(rows[3]).slice(0, 150)}${joined(rows[4])}` as never),
    "before its line 5",
  ],
  [
    "the last two rows in one line",
    (rows) => rows.toSpliced(6, 2, joined(rows[6], rows[7]) as never),
    "none of the rows in its line 7",
  ],
  ["no parents at all", (rows) => rows.map(({ parentUuid: _parent, ...row }) => row), "what stands before its line 8"],
  [
    "a prompt without its id",
    (rows) => rows.map(({ uuid, ...row }, at) => (at === 4 ? row : { uuid, ...row })),
    "before its line 6",
  ],
  [
    "a row that says less than the client wrote down",
    (rows, home) => [...rows.slice(0, 6), checkpoint(5), ...withParents({ 6: "lost" })(rows, home).slice(6)],
    "what stands from its line 8 on",
  ],
  [
    "a parent that only a later row of progress has",
    (rows, home) => [...withParents({ 4: 40 })(rows, home), progress(40, 3)],
    "what stands before its line 5",
  ],
  [
    "such a parent behind a compaction",
    (rows, home) => [...rows.slice(0, 4), boundary, summary, ...withParents({ 4: 61, 6: "lost" })(rows, home).slice(4)],
    "what stands before its line 9",
  ],
];

/** Prompts that are found from the last row, each by the row after it, whatever their order. */
function promptsFound(text: string): string[] {
  const rows = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);
  const byId = new Map(rows.map((row) => [row.uuid, row]));
  const found = new Set<Row>();
  const last = rows.findLast(({ type }) => type === "user" || type === "assistant");
  for (let row = last; row && !found.has(row); row = byId.get(row.parentUuid ?? "")) found.add(row);
  return [...found].flatMap(({ message }) => (message as { content?: unknown } | undefined)?.content ?? []) as string[];
}

it.each(damages)("%s: cut off, and each prompt is found in the copy", async (_what, breaks, why, lacks = []) => {
  const { home, id, path } = aBroken(breaks);
  const before = filesOf(home);
  const diagnosis = await home.json(`rescue ${id}`);
  expect(diagnosis).toMatchObject({ reason: "cut_off", file: path, offers: [{ kind: "copy" }, { kind: "brief" }] });
  expect(diagnosis["why"]).toContain(why);
  const { done } = await home.json(`rescue ${id} --yes`);
  expect(new Map([...filesOf(home)].filter(([name]) => before.has(name)))).toEqual(before);
  const { copy } = done as { copy: { session: string; file: string } };
  const found = promptsFound(readFileSync(copy.file, "utf8"));
  const isCompacted = _what.includes("compaction");
  const wanted = (isCompacted ? prompts.slice(2) : prompts).filter((prompt) => !lacks.includes(prompt));
  expect(found.filter((text) => prompts.includes(text)).toReversed()).toEqual(wanted);
  if (isCompacted) expect(found).toContain("What was done so far.");
  addSession(home, { id: copy.session, client: "claude-code", transcriptPath: copy.file, pid: 78 });
  expect(await home.json(`rescue ${copy.session}`)).toMatchObject({ reason: null });
});

/** What is unusual and no damage, and the prompts that Claude Code sends. */
const harmless: [what: string, breaks: Break, sends: string][] = [
  ["nothing", (rows) => rows, "sends all 4 prompts"],
  [
    "parents that stand later in the file",
    ([first, second, third, ...rest]) => [third!, second!, first!, ...rest],
    "all 4",
  ],
  [
    "a parent that is lost within five seconds",
    (rows, home) =>
      withParents({ 4: "lost" })(rows, home).map((row, at) =>
        Object.assign(row as Row, { timestamp: `2026-11-25T10:00:0${at}.000Z` }),
      ),
    "all 4",
  ],
  ["a row of a sub-agent at the end whose parent is lost", (rows) => [...rows, aside(uuidOf("lost"))], "all 4"],
  [
    "progress between two rows",
    (rows, home) => [...rows.slice(0, 4), progress(40, 3), ...withParents({ 4: 40 })(rows, home).slice(4)],
    "all 4",
  ],
  ["a row that stands twice", (rows) => [...rows.slice(0, 5), rows[2]!, ...rows.slice(5)], "all 4"],
  ["rows that stand twice, at the end", (rows) => [...rows, rows[2]!, rows[3]!], "all 4"],
  [
    "rows without an id",
    (rows) => [{ type: "summary", summary: "x", leafUuid: uuidOf(9) }, { type: "file-history-snapshot" }, ...rows],
    "all 4",
  ],
  [
    "a parent that is lost, in a prompt that was edited",
    (rows) => [...rows.slice(0, 2), aside(uuidOf("lost"), false), ...rows.slice(2)],
    "4 of 5 prompts",
  ],
  [
    "an edited prompt",
    withParents({ 4: 1 }),
    "sends 3 of 4 prompts (the others stand before a compaction, or were taken back)",
  ],
  [
    "a compaction",
    (rows, home) => [...rows.slice(0, 4), boundary, summary, ...withParents({ 4: 61 })(rows, home).slice(4)],
    "2 of 4 prompts",
  ],
  ["a first row that names one of another file", withParents({ 0: "other" }), "all 4"],
  ["a checkpoint before the last turn", (rows) => [...rows.slice(0, 6), checkpoint(5), ...rows.slice(6)], "all 4"],
];

it.each(harmless)("%s: no damage", async (_what, breaks, sends) => {
  const { home, id } = aBroken(breaks);
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: null, why: expect.stringContaining(sends) });
  expect(await home.shim(`rescue ${id}`)).toMatchObject(printed("Nothing is wrong with", sends));
});

it("thousands of rows that name themselves, the next one or none are linked again", async () => {
  const count = 6_000;
  const long: Break = ([first]) =>
    Array.from({ length: count }, (_, at) => ({
      ...first,
      uuid: uuidOf(at),
      parentUuid: uuidOf([at, at + 1, 900_000 + at][at % 3] ?? 0),
      timestamp: new Date(1_795_000_000_000 + at * 60_000).toISOString(),
    }));
  const { home, id } = aBroken(long);
  expect(await home.json(`rescue ${id}`)).toMatchObject({ reason: "cut_off" });
  const { done } = await home.json(`rescue ${id} --yes`);
  const { file } = (done as { copy: { file: string } }).copy;
  expect(promptsFound(readFileSync(file, "utf8")).length).toBe((count / 3) * 2);
});
