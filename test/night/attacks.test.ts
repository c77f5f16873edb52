import { expect, it } from "vitest";
import { overload } from "../../bench/stress/overload.ts";
import { storageLimit, type AttackName } from "../../bench/stress/attacks.ts";
import { targets, underAttack, type Outcome } from "../../bench/stress/run.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

const ms = 3_000;
/** Below what a slow machine does, and above what the neighbour needs. */
const maxOperationsPerSecond = 1_000;

async function attacked(attack: AttackName): Promise<Outcome> {
  const edge = await EdgeRuntime.open();
  await edge.call("settings.set", { settings: { maxOperationsPerSecond } });
  const outcome = await underAttack(edge, edge.folder, attack, ms);
  expect(outcome.isHanging).toBe(false);
  // Twice the target: when garbage is collected is the runtime's choice.
  expect(outcome.memory).toBeLessThan(2 * targets.memoryMb * 1e6);
  return outcome;
}

/** What holds on every machine; how fast the neighbour is, `npm run stress -- neighbour` measures. */
it("under frames with large answers the coordinator's memory is bounded, and its neighbour is answered @night", async () => {
  const { tally, neighbourRefused } = await attacked("answers");
  expect(tally.refused["too_large"]).toBeGreaterThan(0);
  expect(neighbourRefused).toEqual({});
});

it("a token opens no more sockets than it may, with idle watches on all of them @night", async () => {
  const { tally, neighbourRefused } = await attacked("watches");
  expect(tally.opened).toBeLessThanOrEqual(200);
  expect(neighbourRefused).toEqual({});
});

it("under a flood of frames a token is throttled, and its neighbour is not @night", async () => {
  const { tally, neighbourRefused } = await attacked("frames");
  // What it may do at once, and then in each second: the last frame may go beyond.
  expect(tally.accepted).toBeLessThan(maxOperationsPerSecond * (3 + (2 * ms) / 1_000));
  expect(tally.refused["throttled"]).toBeGreaterThan(0);
  expect(neighbourRefused).toEqual({});
});

it("under a flood of values the storage stays below its limit @night", async () => {
  const { storage } = await attacked("storage");
  expect(storage?.limitBytes).toBe(storageLimit);
  expect(storage?.bytes).toBeLessThan(storageLimit);
});

it("offered four times what it can, it refuses submits, loses none that it accepted, and refuses no heartbeat @night", async () => {
  const { produced, lost, refusedHeartbeats } = await overload(await EdgeRuntime.open(), 4, ms);
  expect(produced.accepted.length).toBeGreaterThan(0);
  expect(Object.keys(produced.refused)).toEqual(["overloaded"]);
  expect(lost).toBe(0);
  expect(refusedHeartbeats).toEqual([]);
});
