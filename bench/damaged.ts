import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { writtenRows } from "../test/harness/clients/invented-sessions.ts";
import { range, scaled, Random } from "./measure.ts";
import { sessionPaths, clientOf } from "./real/read-session.ts";

const count = scaled(2_000, 40);
const perHome = 100;
const maxBytes = 600_000;
const maxDamage = 200;
const hourMs = 3_600_000;

type Damage = (bytes: Buffer, at: number, length: number, random: Random) => Buffer;

const damages: readonly Damage[] = [
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at, length) => bytes.fill(0, at, at + length),
  (bytes, at, length) => bytes.fill(0xff, at, at + length),
  (bytes, at, length, random) => bytes.fill(Buffer.from(`"{${random.word()}`), at, at + length),
];

/**
 * Transcripts of Claude Code and Codex that are cut, or have zeros, foreign bytes or other text in the middle: how many
 * `shim sessions check` names. Every fifth is whole, and must not be named.
 *
 * @param folder of recorded transcripts; without it the sessions are made up
 */
export function damaged([folder]: readonly string[]) {
  const random = new Random(1);
  const found = folder === undefined ? [] : recorded(folder, random);
  const texts = found.length > 0 ? found : range(20, madeUp);
  const all = range(count, (n) => ({ text: random.pick(texts), isWhole: n % 5 === 4 }));
  const result = { damaged: 0, named: 0, whole: 0, wronglyNamed: 0 };
  for (let from = 0; from < count; from += perHome) {
    const some = all.slice(from, from + perHome).map(({ text, isWhole }, index) => {
      const bytes = Buffer.from(withId(text, idOf(index)));
      return { isWhole, bytes: isWhole ? bytes : damage(bytes, random) };
    });
    const named = namedOf(some.map(({ bytes }) => bytes));
    for (const [index, { isWhole }] of some.entries()) {
      result[isWhole ? "whole" : "damaged"] += 1;
      if (named.has(index)) result[isWhole ? "wronglyNamed" : "named"] += 1;
    }
  }
  return result;
}

function recorded(folder: string, random: Random): string[] {
  const paths = ["claude-code" as const, "codex" as const].flatMap((client) => sessionPaths(folder, random, client));
  const small = paths.map((path) => join(folder, path)).filter((path) => statSync(path).size < maxBytes);
  return small.slice(0, count).map((path) => readFileSync(path, "utf8"));
}

function madeUp(n: number): string {
  const turns = range(2 + (n % 9), (at) => ({ prompt: `Paint boat ${at} of ${n}.`, answer: `Boat ${at} is painted.` }));
  return `${writtenRows(n % 2 === 0 ? "claude-code" : "codex", turns).join("\n")}\n`;
}

/** Of a file in a home: its name has it. */
function idOf(index: number): string {
  return `5f0e0e5e-0000-4000-8000-${String(index).padStart(12, "0")}`;
}

/** The session under another id: Codex loads none whose file has another one in its name. */
function withId(text: string, id: string): string {
  const [, own = id] = /"(?:sessionId|id)":"([0-9a-f-]{36})"/.exec(text) ?? [];
  return text.replaceAll(own, id);
}

/** Somewhere inside of the file; of a cut row something is left. */
function damage(bytes: Buffer, random: Random): Buffer {
  const at = random.between(1, bytes.length - 3);
  const isRowEnd = [at - 1, at, at + 1].some((near) => bytes[near] === 10);
  if (isRowEnd) return damage(bytes, random);
  const length = Math.min(random.between(3, maxDamage), bytes.length - at);
  return random.pick(damages)(bytes, at, length, random);
}

/** Numbers of the files in which the built program finds damage. */
function namedOf(files: readonly Buffer[]): Set<number> {
  const home = mkdtempSync(join(tmpdir(), "damaged-"));
  const before = new Date(Date.now() - hourMs);
  for (const [index, bytes] of files.entries()) {
    const id = idOf(index);
    const isCodex = clientOf(bytes.toString("utf8", 0, 20_000)) === "codex";
    const name = isCodex
      ? `.codex/sessions/2026/11/01/rollout-2026-11-01T00-00-00-${id}.jsonl`
      : `.claude/projects/-p/${id}.jsonl`;
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), bytes);
    // A file that was just written may be in the middle of a row.
    utimesSync(join(home, name), before, before);
  }
  const env = { PATH: process.env["PATH"], HOME: home, SHIM_HOME: join(home, "shim") };
  const args = [resolve("bin/shim.mjs"), "sessions", "check", "--json"];
  const answer = JSON.parse(checkIn(home, args, env)) as { readonly sessions: readonly Checked[] };
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  const named = answer.sessions.filter(({ findings }) => findings.some(({ state }) => state === "damaged"));
  return new Set(named.map(({ file }) => Number(file.slice(-"000000000000.jsonl".length, -".jsonl".length))));
}

interface Checked {
  readonly file: string;
  readonly findings: readonly { readonly state: string }[];
}

/** Its exit code says that something was found. */
function checkIn(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv): string {
  try {
    return execFileSync(process.execPath, args, { cwd, env, encoding: "utf8", maxBuffer: 1e8 });
  } catch (error) {
    return (error as { readonly stdout: string }).stdout;
  }
}
