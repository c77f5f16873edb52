import { expect, it } from "vitest";
import { simulate, type Outcome } from "./days.ts";

const timeout = 3_600_000;
const seeds = [4, 6, 13];
const events = 30_000;
/** Short days, each with its own weather. */
const day = 5_000;

let runs: Promise<Outcome[]> | undefined;
function dayRuns(): Promise<Outcome[]> {
  return (runs ??= Promise.all(seeds.map((seed) => simulate({ seed, events, day }))));
}

it("every rule holds in 30,000 events from each of three seeds", { timeout }, async () => {
  const outcomes = await dayRuns();
  const failed = outcomes.map(({ violation }, at) => violation && `--seed ${seeds[at]}: ${violation.message}`);
  expect(failed.filter(Boolean), `npm run sim -- --events ${events} --day ${day}`).toEqual([]);
});

it("the three runs reach every fault, refusal and state that they are made for", { timeout }, async () => {
  const outcomes = await dayRuns();
  expect(reached.filter((name) => !outcomes.some(({ counts }) => counts.has(name)))).toEqual([]);
});

it("every rule holds in 1,000,000 events @night", { timeout }, async () => {
  const { violation } = await simulate({ seed: 7, events: 1_000_000 });
  expect(violation, "npm run sim -- --seed 7").toBeNull();
});

it("every rule holds in runs from ten further seeds @night", { timeout }, async () => {
  const failed: string[] = [];
  for (let seed = 101; seed <= 110; seed++) {
    const { violation } = await simulate({ seed, events: 100_000, day: 8_000 });
    if (violation) failed.push(`--seed ${seed}: ${violation.message}`);
  }
  expect(failed, "npm run sim -- --events 100000 --day 8000").toEqual([]);
});

const reached = [
  "request lost, reply lost, request again, connection reset, socket went dead, hint, ping, pong, alarm late, alarm lost, alarm again",
  "watchdog found what was due, host died before the commit, host died after the commit, deploy, notices a closed socket",
  "fault: pause, fault: long pause, fault: suspend",
  "fault: clock set, fault: crash, fault: machine crash, fault: cut off, fault: socket broken, fault: admin",
  "box: phone, box: handover, box used, box not reached, boxes cleared, token renewed, token revoked",
  "access refused: unauthenticated, access refused: quota_exceeded, access refused: unknown_phone",
  "fault: backup, fault: restore, restored, fault: host clock set back, fault: deploy",
  "goes on, machine wakes, clocks jumped, process starts beside another, death attested, lets go, comes late",
  "granted at once, granted to one who waited, waits in line, lease expired",
  "offline: left, offline: closed, offline: timeout, offline: attested",
  "guarded write accepted, write refused: stale_token, write refused: version_mismatch, write repeated",
  "watch read, watch compacted, watch begun, watch continued, message received, messages read, message repeated",
  "refused: lease_held, refused: not_holder, refused: session_in_use, refused: chat_offline, refused: chat_replaced, refused: owner_alive",
  "task begins: queued, task begins: blocked, task begins: scheduled, task begins: dead",
  "submit repeated, task pruned",
  "dispatch at once, token, token again, token lost, token after a failure, queue forgot, task given, took what was given, task moved",
  "task taken, progress went along, task forgotten, refused: chat_draining",
  "tasks.heartbeat accepted, end of a claim repeated, refused: stale_claim, heard of a cancellation",
  "attempt: done, attempt: failed, attempt: timeout, attempt: stalled, attempt: chat_offline, attempt: chat_left",
  "attempt: not_started, attempt: released, attempt: cancelled, attempt: moved",
  "task: failed, task: poison, task: expired, task: dependency, task: cancelled",
  "at night: done, at night: dead, at night: cancelled",
].flatMap((names) => names.split(", "));
