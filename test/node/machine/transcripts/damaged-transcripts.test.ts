import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { clientsWithRows, openCodeExport, writtenRows, type Turn } from "#harness/clients/invented-sessions.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { importTranscript } from "#src/machine/transcripts/import-transcript.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restoreById } from "#src/machine/recovery/incomplete/restoration.ts";

/** What a brief says of an imported file. */
interface Shown {
  readonly text: string;
  /** Prompts that it counts, where it calls its count complete. */
  readonly complete: number | null;
  readonly hasEnd: boolean;
}

class Importer {
  readonly #runtime: TempRuntime = tempRuntime();
  readonly #folder = temporaryFolder();

  /** @returns null: refused */
  async brief(bytes: Buffer, name = "old.jsonl"): Promise<Shown | null> {
    const path = join(this.#folder, name);
    writeFileSync(path, bytes);
    const imported = await importTranscript(this.#runtime, { path, folder: "/p" });
    if (!imported.ok) return null;
    const from = restoreById(this.#runtime, imported.value.session);
    if (from === null) throw new Error("it was not stored");
    const text = brief(from, this.#runtime.now(), "brief");
    const counted = /(\d+) of (\d+) prompts quoted/.exec(text);
    return {
      text,
      complete: counted ? Number(counted[2]) : null,
      hasEnd: text.includes("the end of the conversation is there"),
    };
  }
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

interface Case {
  readonly client: string;
  /** Number of them. */
  readonly turns: number;
  readonly row: number;
  /** Share of the row. */
  readonly within: number;
  readonly lost: string;
  readonly other: string;
}

const cases: fc.Arbitrary<Case> = fc.record({
  client: fc.constantFrom(...clientsWithRows),
  turns: fc.integer({ min: 1, max: 6 }),
  row: fc.nat(),
  within: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  lost: fc.constantFrom(...Object.keys(losing)),
  other: fc.constantFrom(...Object.keys(harmless)),
});

/** A brief may lack what is lost, and must not say that it has it. */
async function checkLoss(importer: Importer, { client, turns: count, row, within, lost }: Case): Promise<void> {
  const turns = turnsOf(count);
  const rows = writtenRows(client, turns);
  const shown = await importer.brief(losing[lost]?.(rows, row % rows.length, within) ?? Buffer.alloc(0));
  if (shown === null) return;
  const isThere = ({ prompt }: Turn): boolean => shown.text.includes(prompt);
  if (shown.complete !== null && !turns.every(isThere)) expect(shown).toMatchObject({ complete: null });
  if (!shown.text.includes(turns.at(-1)?.answer ?? "")) expect(shown).toMatchObject({ hasEnd: false });
  expect(shown.text).toContain("could not be read");
}

async function checkNoLoss(importer: Importer, { client, turns: count, row, within, other }: Case): Promise<void> {
  const turns = turnsOf(count);
  const rows = writtenRows(client, turns);
  const shown = await importer.brief(harmless[other]?.(rows, row % rows.length, within) ?? Buffer.alloc(0));
  expect(shown).toMatchObject({ complete: count });
  for (const { prompt } of turns) expect(shown?.text.split(prompt).length).toBe(2);
}

it.each([
  ["300 damages", 150, 150],
  ["10,000 damages @night", 6_000, 4_000],
])(
  "no brief of a damaged transcript claims what it lacks, and what is whole is read whole: %s",
  async (_, losses, others) => {
    const importer = new Importer();
    const lost = fc.asyncProperty(cases, (given) => checkLoss(importer, given));
    await fc.assert(lost, { numRuns: losses });
    const kept = fc.asyncProperty(cases, (given) => checkNoLoss(importer, given));
    await fc.assert(kept, { numRuns: others });
  },
  1_800_000,
);

it("a document that is cut, or has zeros behind it, is read as far as it stands", async () => {
  const importer = new Importer();
  const turns = turnsOf(3);
  const whole = Buffer.from(JSON.stringify(openCodeExport(turns)));
  expect(await importer.brief(whole, "export.json")).toMatchObject({ complete: 3, hasEnd: true });
  expect(await importer.brief(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), whole, Buffer.alloc(40)]))).toMatchObject(
    {
      complete: 3,
    },
  );
  for (const share of [0.5, 0.7, 0.9]) {
    const cut = await importer.brief(whole.subarray(0, Math.floor(share * whole.length)), "export.json");
    expect(cut).toMatchObject({ complete: null, hasEnd: false, text: expect.stringContaining("could not be read") });
    expect(cut?.text).toContain(turns[0]?.prompt);
  }
});
