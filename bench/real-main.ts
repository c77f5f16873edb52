/** `npm run bench -- real <folder>`: recorded sessions die at drawn moments; their briefs against what followed. Prints figures only. See bench/real/README.md. */
import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../src/contract/version.ts";
import { CannotMeasureError } from "./cannot-measure.ts";
import { printTable } from "./figures.ts";
import { sessionPaths, textAtPath } from "./real/choose-sessions.ts";
import { Compactions } from "./real/compactions.ts";
import { Gradings } from "./real/gradings.ts";
import { LongSessions } from "./real/long-sessions.ts";
import { ImportCost } from "./real/import-cost.ts";
import type { MeasuredCut } from "./real/measured.ts";
import { playAll, type Job, type Played } from "./real/players.ts";
import { readSession } from "./real/read-session.ts";
import { report } from "./real/report.ts";
import { isSessionClient, sessionClients } from "./real/session-events.ts";
import { Speed } from "./real/speed.ts";
import { Random } from "./restore/random.ts";
import { scaled, share } from "./size.ts";

const usage = `npm run bench -- real <folder with transcripts> [--sessions N] [--cuts N] [--seed N] [--client ${sessionClients.join("|")}] [--speed N] [--show N] [--jobs N]`;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sessions: { type: "string", default: String(scaled(170, 2)) },
    cuts: { type: "string", default: String(scaled(4, 1)) },
    seed: { type: "string", default: "1" },
    client: { type: "string" },
    speed: { type: "string", default: String(scaled(20, 1)) },
    show: { type: "string", default: "0" },
    jobs: { type: "string", default: "2" },
  },
});
const [folder = ""] = positionals;
const numbers = [values.sessions, values.cuts, values.seed, values.speed, values.show, values.jobs].map(Number);
const [mostSessions = 0, mostCuts = 0, seed = 0, mostTimed = 0, shown = 0, processes = 0] = numbers;
const client = values.client ?? null;
if (!existsSync(folder) || numbers.some((value) => !Number.isInteger(value)) || !isClientOrAll(client)) {
  throw new CannotMeasureError(usage);
}

const startedAt = performance.now();
const measured: MeasuredCut[] = [];
const speed = new Speed();
const importCost = new ImportCost();
const compactions = new Compactions();
const longSessions = new LongSessions();
const gradings = new Gradings(shown, new Random(seed));
const failed: string[] = [];
const refused: string[] = [];
const jobs: Job[] = [];
let found = 0;
for (const path of sessionPaths(folder, new Random(seed), client)) {
  found += 1;
  if (jobs.length >= mostSessions) break;
  const text = textAtPath(folder, path);
  const session = readSession(text);
  if (session === null) continue;
  longSessions.offer(session);
  importCost.offer(session.client, resolve(folder, path), text.length);
  jobs.push({ folder, path, client: session.client, session: jobs.length + 1, seed, mostCuts, isShown: shown > 0 });
}
if (jobs.length === 0)
  throw new CannotMeasureError(
    `of ${found} transcripts in ${folder} none has a prompt of a user: nothing can be measured.`,
  );
let sessions = 0;
await playAll(jobs, Math.max(1, processes), take);
for (const { path } of jobs.slice(0, mostTimed)) {
  const session = readSession(textAtPath(folder, path));
  if (session) await speed.play(session, path);
}
for (const { client: of, path } of jobs) await compactions.read(of, resolve(folder, path));
if (measured.length > 0) console.log(`${report(measured, seed)}\n`);
const rows = [...(await longSessions.rows()), ...compactions.rows(), ...speed.rows(), ...(await importCost.rows())];
if (rows.length > 0) printTable(rows);
const seconds = Math.round((performance.now() - startedAt) / 1_000);
const about = `seed ${seed}, SHIM ${version}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
const imports = measured.filter(({ way }) => way === "import").length;
console.log(`\n${about}; ${sessions} sessions, ${measured.length} briefs in ${seconds} s`);
console.log(`${imports - refused.length} of ${imports} transcripts imported`);
for (const [problem, count] of speed.problems) console.error(`${count} x ${problem}`);
for (const where of [...speed.hung.map((one) => `hung: ${one}`), ...speed.slow.map((one) => `slow: ${one}`)])
  console.error(where);
for (const why of refused) console.error(`refused: ${why}`);
for (const why of failed) console.error(`could not be played: ${why}`);
const kept = gradings.write();
if (kept !== null) console.error(`briefs for grading: ${kept}`);
writeResults();
if (measured.length === 0) throw new CannotMeasureError(`of ${jobs.length} sessions no brief was measured.`);
// A goal is one of the whole bench.
const isMissed = share === 1 && speed.rows().some(({ isReached }) => isReached === false);
if (failed.length > 0 || refused.length > 0 || isMissed) process.exitCode = 1;

function take({ briefs, error }: Played, { path }: Job): void {
  sessions += 1;
  if (error !== null) failed.push(error);
  for (const { measured: one, grading } of briefs) {
    measured.push(one);
    if (one.way === "import" && one.refusal !== null) refused.push(`${path}, cut ${one.cut}: ${one.refusal}`);
    if (grading !== null) gradings.offer(grading);
  }
  if (sessions % 10 !== 0) return;
  writeResults();
  console.error(`${sessions} sessions, ${measured.length} briefs`);
}

function isClientOrAll(name: string | null): name is (typeof sessionClients)[number] | null {
  return name === null || isSessionClient(name);
}

/** Also on the way: a run of hundreds of sessions takes its time. */
function writeResults(): void {
  if (share < 1) return;
  const results = { seed, shim: version, node: process.version, at: new Date().toISOString(), sessions, measured };
  writeFileSync("bench/results-real.json", `${JSON.stringify(results, null, 2)}\n`);
}
