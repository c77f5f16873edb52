/** `npm run bench -- real <folder>`: recorded sessions die at drawn moments; their briefs against what followed. Prints figures only. See bench/real/README.md. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../src/platform/version.ts";
import { table } from "./figures.ts";
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

const usage = `npm run bench -- real <folder with transcripts> [--sessions N] [--cuts N] [--seed N] [--client ${sessionClients.join("|")}] [--speed N] [--show N] [--jobs N]`;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sessions: { type: "string", default: "170" },
    cuts: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
    client: { type: "string" },
    speed: { type: "string", default: "20" },
    show: { type: "string", default: "0" },
    jobs: { type: "string", default: "2" },
  },
});
const [folder = ""] = positionals;
const numbers = [values.sessions, values.cuts, values.seed, values.speed, values.show, values.jobs].map(Number);
const [mostSessions = 0, mostCuts = 0, seed = 0, mostTimed = 0, shown = 0, processes = 0] = numbers;
const client = values.client ?? null;
if (!existsSync(folder) || numbers.some((value) => !Number.isInteger(value)) || !isClientOrAll(client)) {
  console.error(usage);
  process.exit(2);
}

const startedAt = performance.now();
const measured: MeasuredCut[] = [];
const speed = new Speed();
const importCost = new ImportCost();
const compactions = new Compactions();
const longSessions = new LongSessions();
const gradings = new Gradings(shown, new Random(seed));
const failed: string[] = [];
const jobs: Job[] = [];
for (const path of sessionPaths(folder, new Random(seed), client)) {
  if (jobs.length >= mostSessions) break;
  const text = textAtPath(folder, path);
  const session = readSession(text);
  if (session === null) continue;
  longSessions.offer(session);
  importCost.offer(session.client, join(folder, path), text.length);
  jobs.push({ folder, path, session: jobs.length + 1, seed, mostCuts, isShown: shown > 0 });
}
let sessions = 0;
await playAll(jobs, Math.max(1, processes), take);
for (const { path } of jobs.slice(0, mostTimed)) {
  const session = readSession(textAtPath(folder, path));
  if (session) await speed.play(session, path);
}
for (const { path } of jobs) compactions.read(join(folder, path));
if (measured.length > 0) console.log(`${report(measured, seed)}\n`);
console.log(table([...(await longSessions.rows()), ...compactions.rows(), ...speed.rows(), ...importCost.rows()]));
const seconds = Math.round((performance.now() - startedAt) / 1_000);
const about = `seed ${seed}, SHIM ${version}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
console.log(`\n${about}; ${sessions} sessions, ${measured.length} briefs in ${seconds} s`);
for (const [problem, count] of speed.problems) console.error(`${count} x ${problem}`);
for (const where of [...speed.hung.map((one) => `hung: ${one}`), ...speed.slow.map((one) => `slow: ${one}`)])
  console.error(where);
for (const why of failed) console.error(`could not be played: ${why}`);
const kept = gradings.write();
if (kept !== null) console.error(`briefs for grading: ${kept}`);
writeResults();
if (failed.length > 0 || sessions === 0 || speed.rows().some(({ isReached }) => isReached === false))
  process.exitCode = 1;

function take({ briefs, error }: Played): void {
  sessions += 1;
  if (error !== null) failed.push(error);
  for (const { measured: one, grading } of briefs) {
    measured.push(one);
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
  const results = { seed, shim: version, node: process.version, at: new Date().toISOString(), sessions, measured };
  writeFileSync("bench/results-real.json", `${JSON.stringify(results, null, 2)}\n`);
}
