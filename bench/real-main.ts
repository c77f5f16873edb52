/** `npm run bench -- real <folder>`: transcripts of real sessions, event by event through the built hook program. Prints figures only. */
import { appendFileSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../src/platform/version.ts";
import { ms, sample, table, type Row } from "./figures.ts";
import { HookProcess, type SentEvent } from "./real/hook-process.ts";
import { readSession, type RecordedSession } from "./real/transcript-events.ts";

const usage = "npm run bench -- real <folder with *.jsonl of Claude Code or Codex> [--sessions N]";
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sessions: { type: "string", default: "1000" } },
});
const [folder = ""] = positionals;
const most = Number(values.sessions);
if (!existsSync(folder) || !Number.isInteger(most)) {
  console.error(usage);
  process.exit(2);
}

interface Measured {
  sessions: number;
  /** Longer than the plugin sends to a running process. */
  tooLong: number;
  readonly hung: string[];
  /** Beyond half of the bound. */
  readonly slow: string[];
  readonly times: Map<string, number[]>;
  readonly problems: Map<string, number>;
}

const boundMs = 1_000;
const found: Measured = { sessions: 0, tooLong: 0, hung: [], slow: [], times: new Map(), problems: new Map() };
const paths = evenly(globSync("**/*.jsonl", { cwd: folder }).toSorted());
for (const path of paths) {
  if (found.sessions >= most) break;
  const session = readSession(readFileSync(join(folder, path), "utf8"));
  if (session === null) continue;
  found.sessions += 1;
  await play(session, path);
}
console.log(table(rowsOf(found)));
console.log(`\nSHIM ${version}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`);
for (const [problem, count] of found.problems) console.error(`${count} x ${problem}`);
for (const where of found.hung) console.error(`hung: ${where}`);
for (const where of found.slow) console.error(`slow: ${where}`);
if (rowsOf(found).some(({ isReached }) => isReached === false)) process.exitCode = 1;

/** Fewer sessions than there are come from the whole folder. */
function evenly(all: readonly string[]): string[] {
  const every = Math.max(1, all.length / most);
  const first = Array.from({ length: Math.min(most, all.length) }, (_, n) => all[Math.floor(n * every)] ?? "");
  return [...first, ...all.filter((path) => !first.includes(path))];
}

async function play({ client, rows, steps }: RecordedSession, path: string): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "shim-real-"));
  const hooks = new HookProcess(client, join(home, "shim"));
  const transcript = join(home, "transcript.jsonl");
  writeFileSync(transcript, "");
  const common = { session_id: path.replaceAll(/[^\w-]/g, "-").slice(-80), transcript_path: transcript, cwd: home };
  let written = 0;
  for (const { rows: until, event, fields } of steps) {
    if (until > written) appendFileSync(transcript, `${rows.slice(written, until).join("\n")}\n`);
    written = until;
    const sent = await hooks.send(event, { ...common, hook_event_name: event, ...fields });
    if (sent === null) found.tooLong += 1;
    else record(event, `${path} at row ${until}, ${event}`, sent);
  }
  await hooks.end();
  countProblems(join(home, "shim"));
  rmSync(home, { recursive: true });
}

function record(event: string, where: string, { cpuMs, answer }: SentEvent): void {
  const times = found.times.get(event) ?? [];
  times.push(cpuMs);
  found.times.set(event, times);
  if (answer === null) found.hung.push(where);
  else if (cpuMs > boundMs / 2) found.slow.push(`${where}: ${ms(cpuMs)}`);
  if (typeof answer === "object" && answer !== null && "error" in answer) count(`answer: ${String(answer.error)}`);
}

/** Messages of the log without what they are about: that may be a user's text. */
function countProblems(home: string): void {
  for (const log of globSync("**/*.log", { cwd: home })) {
    for (const line of readFileSync(join(home, log), "utf8").split("\n")) {
      const [, level, message] = /"level":"(\w+)".*?"msg":"([^"]{1,80})"/.exec(line) ?? [];
      if (level === "error" || level === "warn") count(`${level}: ${message}`);
    }
  }
}

function count(problem: string): void {
  found.problems.set(problem, (found.problems.get(problem) ?? 0) + 1);
}

function rowsOf({ sessions, tooLong, hung, times, problems }: Measured): Row[] {
  const all = [...times.values()].flat();
  const errors = [...problems.values()].reduce((total, one) => total + one, 0);
  const group = "real sessions";
  const slowest = Math.max(...all);
  return [
    { group, name: "sessions, events", figure: `${sessions}, ${all.length} (${tooLong} too long for the stream)` },
    { group, name: "hung", figure: String(hung.length), goal: "0", isReached: hung.length === 0 },
    { group, name: "errors in answers and log", figure: String(errors), goal: "0", isReached: errors === 0 },
    { group, name: "slowest event", figure: ms(slowest), goal: "under 1 s", isReached: slowest < boundMs },
    ...[["all events", all] as const, ...times].map(([name, some]) => {
      const { p50, p99 } = sample(some);
      return { group, name: `${name}: p50 / p99 / most`, figure: [p50, p99, Math.max(...some)].map(ms).join(" / ") };
    }),
  ];
}
