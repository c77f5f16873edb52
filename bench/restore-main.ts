/** `npm run bench -- restore`: how much of generated sessions the next chat is given, with the real client. See bench/restore/README.md. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { CLAUDE_VERSION, claudeBinary } from "../scripts/install-claude.ts";
import { programOf } from "../scripts/install-clients.ts";
import { version } from "../src/contract/version.ts";
import { CannotMeasureError, needed } from "./cannot-measure.ts";
import { hookTimes } from "./restore/codex-chat.ts";
import { inDesktopChats, inOtherClient, kindNames, makeSession, sessionsOfRound } from "./restore/kinds.ts";
import { measureAll } from "./restore/measure.ts";
import { isOtherClient, otherClientNames, otherClients } from "./restore/other-clients.ts";
import type { SessionPlan } from "./restore/plan.ts";
import { failures, summarize, tableOfFacts, tableOfKinds, printTargets } from "./restore/report.ts";
import { scaled, share } from "./size.ts";

const usage = `npm run bench -- restore [--seed N] [--sessions N] [--only NAME]... [--keep DIR] [--jobs N] [--client claude-code|${otherClientNames.join("|")}|desktop]
kinds: ${kindNames.join(", ")}`;
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Math.floor(Math.random() * 100_000)) },
    sessions: { type: "string", default: String(scaled(sessionsOfRound)) },
    only: { type: "string", multiple: true, default: [] },
    keep: { type: "string" },
    jobs: { type: "string", default: "2" },
    client: { type: "string", default: "claude-code" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const [seed, count, jobs] = [values.seed, values.sessions, values.jobs].map(Number) as [number, number, number];
const other = isOtherClient(values.client) ? values.client : null;
const isDesktop = values.client === "desktop";
if (
  (other === null && !isDesktop && values.client !== "claude-code") ||
  ![seed, count, jobs].every((value) => Number.isInteger(value) && value >= 0)
) {
  throw new CannotMeasureError(usage);
}

const realClient = other
  ? `${otherClients[other].title} ${otherClients[other].pinned.version}`
  : `Claude Code ${CLAUDE_VERSION}`;
const client = isDesktop ? "a scripted Claude Desktop" : realClient;
if (!isDesktop) needed(() => (other ? programOf(otherClients[other].pinned) : claudeBinary()));
const about = `seed ${seed}, ${client}, SHIM ${version}, node ${process.version}`;
console.error(about);
const made = Array.from({ length: count }, (_, index) => makeSession(seed, index));
const plansOf = (plan: SessionPlan): SessionPlan[] => {
  if (isDesktop) return inDesktopChats(plan);
  return other ? [inOtherClient(plan, other) ?? []].flat() : [plan];
};
const plans = made.flatMap(plansOf);
const chosen = plans.filter(({ name }) => values.only.length === 0 || values.only.some((part) => name.includes(part)));
const startedAt = performance.now();
const { measured, failed } = await measureAll(chosen, values.keep ?? null, Math.max(1, jobs));
for (const line of failures(measured)) console.log(line);
for (const { name, error } of failed) console.log(`${name}: COULD NOT BE RUN: ${error}`);
if (measured.length > 0) {
  console.log(`\n${tableOfKinds(measured)}\n\n${tableOfFacts(measured)}\n`);
  printTargets(measured);
}
for (const [event, times] of hookTimes)
  console.log(`hook ${event}: median ${median(times)} ms of ${times.length} (Codex's own measure)`);
const tookMs = Math.round(performance.now() - startedAt);
console.log(
  `${about}; ${measured.length} sessions in ${Math.round(tookMs / 1_000)} s, ${failed.length} could not be run`,
);
const results = {
  seed,
  client,
  shim: version,
  node: process.version,
  at: new Date().toISOString(),
  tookMs,
};
if (share === 1)
  writeFileSync(
    "bench/results-restore.json",
    `${JSON.stringify({ ...results, ...(measured.length > 0 ? { total: summarize(measured) } : {}), measured, failed }, null, 2)}\n`,
  );
if (measured.length === 0) throw new CannotMeasureError(`no session was measured: ${kindNames.join(", ")} are there`);
if (failed.length > 0) process.exitCode = 1;
