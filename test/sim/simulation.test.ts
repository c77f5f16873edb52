import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { simulate, type Outcome } from "./run.ts";

/** As many as come through all that asks for; `npm run sim -- --events 1000000` runs more. */
const events = 100_000;
const seed = 6;
/** Many days, each with another weather. */
const day = 8_000;
/** It computes for minutes on a loaded machine: only what hangs ends by it. */
const timeout = 900_000;

let clean: Promise<Outcome> | undefined;
function cleanRun(): Promise<Outcome> {
  return (clean ??= simulate({ seed, events, day }));
}

it(
  "every rule holds in a long run",
  async () => {
    const { violation, events: done } = await cleanRun();
    expect(violation, `npm run sim -- --events ${events} --seed ${seed} --day ${day}`).toBeNull();
    expect(done).toBeGreaterThanOrEqual(events);
  },
  timeout,
);

it(
  "a run comes through all that it is made for",
  async () => {
    const { counts } = await cleanRun();
    expect(reached.filter((name) => !counts.has(name))).toEqual([]);
  },
  timeout,
);

const reached = [
  "request lost, reply lost, request again, connection reset, socket went dead, hint, ping, pong, alarm late, alarm lost, alarm again",
  "watchdog found what was due, host died before the commit, host died after the commit, deploy, notices a closed socket",
  "fault: short pause, fault: pause, fault: long pause, fault: suspend, fault: suspend with a step, fault: clock stepped",
  "fault: clock set, fault: crash, fault: machine crash, fault: cut off, fault: socket broken, fault: network away",
  "fault: backup, fault: restore, restored, fault: host clock set ahead, fault: host clock set back, fault: deploy, fault: admin, goes on, machine wakes, clocks jumped, process starts beside another, death attested",
  "granted at once, granted to one who waited, stands in line, lease ran out",
  "offline: left, offline: closed, offline: timeout, offline: attested",
  "guarded write accepted, write refused: stale_token, write refused: version_mismatch, write repeated",
  "watch told, watch compacted, copy begun, copy changed, copy compared, message taken in, lets go, comes late, messages read, message repeated",
  "refused: lease_held, refused: not_holder, refused: session_in_use, refused: chat_offline, refused: chat_replaced",
  "refused: owner_alive",
  "task begins: queued, task begins: blocked, task begins: scheduled, task begins: dead",
  "submit repeated, submit of a known key, circle refused, refused: duplicate_task, refused: unknown_task",
  "dispatch at once, token, token again, token lost, token after a failure, queue forgot, task given, took what was given, task moved",
  "task taken, task received again, progress went along, results went along, task forgotten, refused: chat_draining",
  "tasks.heartbeat accepted, end of a claim repeated, refused: stale_claim",
  "attempt: done, attempt: failed, attempt: timeout, attempt: stalled, attempt: chat_offline, attempt: chat_left",
  "attempt: not_started, attempt: released, attempt: cancelled, attempt: moved, told of a cancellation, replayed",
  "attempt: budget_exceeded, task: budget_exceeded, task went as one too many",
  "task: failed, task: poison, task: expired, task: dependency, task: discarded, task: cancelled",
  "list of leases.acquire, list of leases.renew, list of leases.release, list of state.get, list of state.set, list of state.delete",
  "frame in one transaction, frame repeated one by one, list of tasks.ack, refused for the load: tasks.submit, refused for the load: leases.acquire",
  "at night: done, at night: dead, at night: cancelled, accepted task accounted for, task pruned, cancelled before it was seen",
].flatMap((names) => names.split(", "));

/** What happens in a run, in words. */
async function told(from: number): Promise<string[]> {
  const lines: string[] = [];
  await simulate({ seed: from, events: 3_000, trace: (line) => lines.push(line) });
  return lines;
}

it("the same seed gives the same run", async () => {
  const first = await told(5);
  expect(await told(5)).toEqual(first);
  expect(await told(6)).not.toEqual(first);
});

it("a violation prints the command that shows it again", { timeout }, () => {
  const main = join(import.meta.dirname, "..", "..", "sim", "main.ts");
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
    expect({ status, stderr }).toMatchObject({ status: 1 });
    return `${stdout}${stderr}`;
  };
  const output = run("--bug", "token-not-raised", "--seed", "3", "--events", "20000");
  const again = /again: npm run sim -- (.*)/.exec(output)?.[1]?.split(" ") ?? [];
  expect(/violation.*/.exec(run(...again))?.[0]).toBe(/violation.*/.exec(output)?.[0]);
});
