/** `npm run bench -- real <folder>`: recorded sessions die at drawn moments; their briefs against what followed. Prints figures only. See bench/real/README.md. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../src/platform/version.ts";
import { table } from "./figures.ts";
import { sessionPaths, textAtPath } from "./real/choose-sessions.ts";
import { Gradings } from "./real/gradings.ts";
import { ImportCost } from "./real/import-cost.ts";
import { measure, type MeasuredCut } from "./real/measured.ts";
import { playSession, type PlayedCut } from "./real/play.ts";
import { readSession } from "./real/read-session.ts";
import { report } from "./real/report.ts";
import { isSessionClient, sessionClients } from "./real/session-events.ts";
import { Speed } from "./real/speed.ts";
import { Random } from "./restore/random.ts";

const usage = `npm run bench -- real <folder with transcripts> [--sessions N] [--cuts N] [--seed N] [--client ${sessionClients.join("|")}] [--speed N] [--show N]`;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sessions: { type: "string", default: "170" },
    cuts: { type: "string", default: "4" },
    seed: { type: "string", default: "1" },
    client: { type: "string" },
    speed: { type: "string", default: "20" },
    show: { type: "string", default: "0" },
  },
});
const [folder = ""] = positionals;
const numbers = [values.sessions, values.cuts, values.seed, values.speed, values.show].map(Number);
const [mostSessions = 0, mostCuts = 0, seed = 0, mostTimed = 0, shown = 0] = numbers;
const client = values.client ?? null;
if (!existsSync(folder) || numbers.some((value) => !Number.isInteger(value)) || !isClientOrAll(client)) {
  console.error(usage);
  process.exit(2);
}

const startedAt = performance.now();
const random = new Random(seed);
const measured: MeasuredCut[] = [];
const speed = new Speed();
const importCost = new ImportCost();
const gradings = new Gradings(shown, random);
const failed: string[] = [];
let sessions = 0;
for (const path of sessionPaths(folder, random, client)) {
  if (sessions >= mostSessions) break;
  const text = textAtPath(folder, path);
  const session = readSession(text);
  if (session === null) continue;
  sessions += 1;
  importCost.offer(session.client, join(folder, path), text.length);
  await playSession(text, random, mostCuts, (played) => take(sessions, played)).catch((error: unknown) => {
    failed.push(`${path}: ${String(error)}`);
  });
  if (sessions <= mostTimed) await speed.play(session, path);
  if (sessions % 10 === 0) writeResults();
  if (sessions % 10 === 0) console.error(`${sessions} sessions, ${measured.length} briefs`);
}
if (measured.length > 0) console.log(`${report(measured, seed)}\n`);
if (mostTimed > 0) console.log(table([...speed.rows(), ...importCost.rows()]));
const seconds = Math.round((performance.now() - startedAt) / 1_000);
const about = `seed ${seed}, SHIM ${version}, node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
console.log(`\n${about}; ${sessions} sessions, ${measured.length} briefs in ${seconds} s`);
for (const [problem, count] of speed.problems) console.error(`${count} x ${problem}`);
for (const where of [...speed.hung.map((one) => `hung: ${one}`), ...speed.slow.map((one) => `slow: ${one}`)])
  console.error(where);
for (const why of failed) console.error(`could not be played: ${why}`);
const place = gradings.write();
if (place !== null) console.error(`briefs for grading: ${place}`);
writeResults();
if (failed.length > 0 || sessions === 0 || speed.rows().some(({ isReached }) => isReached === false))
  process.exitCode = 1;

function take(session: number, played: PlayedCut): void {
  measured.push(measure(session, played));
  gradings.offer(played);
}

function isClientOrAll(name: string | null): name is (typeof sessionClients)[number] | null {
  return name === null || isSessionClient(name);
}

/** Also on the way: a run of hundreds of sessions takes its time. */
function writeResults(): void {
  const results = { seed, shim: version, node: process.version, at: new Date().toISOString(), sessions, measured };
  writeFileSync("bench/results-real.json", `${JSON.stringify(results, null, 2)}\n`);
}
