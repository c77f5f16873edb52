import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { record, type McpConnection } from "#src/platform/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import {
  answered,
  integrityOf,
  killAll,
  homeWithoutRetention,
  nextStepOf,
  setAside,
  setting,
  startServer,
  storeOf,
  spawnServer,
} from "#harness/machine/mcp-process.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import * as spool from "#src/store/spool.ts";
import { column } from "#harness/store/store-rows.ts";

const rounds = setting("SHIM_CRASH_ROUNDS", 8);
const seed = setting("SHIM_CRASH_SEED", 1);

/** A client that saves as fast as it is answered, until it is killed. */
class Saver {
  readonly server: McpConnection;
  readonly acknowledged: { checkpoint: string; nextStep: string }[] = [];
  /** Sent and not answered: it may be stored or not. */
  underWay: string | null = null;

  constructor(server: McpConnection) {
    this.server = server;
  }

  /** Ends when `isEnough`, or by the death of the server. */
  async save(name: string, random: () => number, isEnough = (): boolean => false, restMs = 0): Promise<void> {
    for (let n = 1; !isEnough(); n++) {
      this.underWay = `${name}.${n} `;
      const filler = Array.from({ length: 1 + 300 * random() }, () => random().toString(36));
      const given = { goal: "survive", nextStep: this.underWay, state: { filler } };
      const { isError, text, data } = await this.server.callTool("shim_force_checkpoint", given);
      // The call died with two hosts.
      if (isError && text.includes("outcome_unknown")) continue;
      const checkpoint = record(data)["checkpoint"];
      expect(isError, text).toBe(false);
      this.acknowledged.push({ checkpoint: String(checkpoint), nextStep: this.underWay });
      if (restMs > 0) await pause(restMs);
    }
    this.underWay = null;
  }
}

it(
  `kill -9 at ${rounds} random moments: the store is sound, nothing acknowledged is lost, the next brief has the last step`,
  { timeout: 240_000 + rounds * 2_000 },
  async () => {
    const paths = homeWithoutRetention();
    const random = seededRandom(seed);
    const bystander = new Saver(await startServer(paths));
    let hasEnded = false;
    const saving = bystander.save("bystander", seededRandom(seed + 1), () => hasEnded, 20);
    // From here on there is a store to check.
    while (bystander.acknowledged.length === 0) await pause(1);
    let expected: string[] = [];
    let [acknowledged, briefs, due] = [0, 0, 0];
    for (let round = 1; round <= rounds; round++) {
      const where = `seed ${seed}, round ${round}`;
      const victim = new Saver(spawnServer(paths));
      const plan = planOf(random);
      const brief = await liveAndDie(victim, paths, `round${round}`, plan);
      if (plan.saves > 0 && expected.length > 0) due += 1;
      if (brief !== null && expected.length > 0) {
        briefs += 1;
        const found = expected.filter((step) => nextStepIn(brief)?.endsWith(`: ${step.trim()}`));
        expect(found, `${where}: ${brief}`).toHaveLength(1);
      }
      acknowledged += victim.acknowledged.length;
      expectWhole(paths, victim, where);
      const last = victim.acknowledged.at(-1);
      const base = last ? [last.nextStep] : expected;
      // Before the first acknowledged save a brief may have no step at all.
      expected = base.length === 0 ? [] : [...base, ...(victim.underWay === null ? [] : [victim.underWay])];
      // A chat beside it saves on, however slow the machine is.
      while (bystander.acknowledged.length <= round) await pause(1);
    }
    hasEnded = true;
    await saving;
    expectWhole(paths, bystander, "bystander");
    expect(bystander.acknowledged.length).toBeGreaterThan(rounds);
    const others = bystander.acknowledged.length;
    process.stdout.write(
      `crash: ${rounds} kills, ${acknowledged} saves before them, ${others} beside them, none lost\n`,
    );
    expect(acknowledged).toBeGreaterThan(rounds);
    // A life that saves has its brief before; a life that ends in its start may have it.
    expect(due).toBeGreaterThan(0);
    expect(briefs).toBeGreaterThanOrEqual(due);
  },
);

/** When a life ends: in its start, or after `saves` and a fraction of one; `filler` is the seed of what it saves. */
interface Plan {
  readonly saves: number;
  readonly ms: number;
  readonly filler: number;
}

/** Draws all that is random about a life before it starts, so that a seed gives the same lives on each machine. */
function planOf(random: () => number): Plan {
  const isEarly = random() < 0.2;
  const [saves, ms, filler] = [1 + Math.floor(6 * random()), random(), Math.floor(1e9 * random())];
  return isEarly ? { saves: 0, ms: 120 * ms, filler } : { saves, ms: 8 * ms, filler };
}

/** @returns the brief that it received at its start; null when it was killed before */
async function liveAndDie(
  victim: Saver,
  paths: Paths,
  name: string,
  { saves, ms, filler }: Plan,
): Promise<string | null> {
  const { server } = victim;
  let brief: string | null = null;
  const life = (async () => {
    await server.initialize("crash");
    const found = await answered(server, "shim_check_recovery", {});
    brief = typeof found["brief"] === "string" ? found["brief"] : "";
    await victim.save(name, seededRandom(filler));
  })();
  const isAsFar = (async () => {
    while (victim.acknowledged.length < saves && server.process.exitCode === null) await pause(1);
    await pause(ms);
  })();
  // A life that ends before it is killed ends with an error of its own.
  await Promise.race([isAsFar, life]);
  await killAll(server, paths);
  await expect(life).rejects.toThrow("the MCP process has ended (SIGKILL)");
  return brief;
}

function nextStepIn(brief: string): string | undefined {
  return brief.split("\n").find((line) => line.startsWith("- next step ("));
}

function expectWhole(paths: Paths, { acknowledged }: Saver, where: string): void {
  const store = storeOf(paths);
  expect(integrityOf(store), where).toEqual(["ok"]);
  const lost = acknowledged.filter(({ checkpoint, nextStep }) => nextStepOf(store, checkpoint) !== nextStep);
  expect(lost, where).toEqual([]);
  store.close();
}

const events = setting("SHIM_HOOK_CRASH_ROUNDS", 8);

/** Calls the hooks of one tool call after the other until the connection ends; keeps the ids whose end was acknowledged. */
async function callHooks(server: McpConnection, session: string, acknowledged: string[]): Promise<never> {
  await server.initialize("hooks");
  for (let n = 1; ; n++) {
    const id = `${session}-${n}`;
    const tool = { tool_name: "Bash", tool_use_id: id, "tool_input.command": `echo ${id}` };
    for (const event of ["PreToolUse", "PostToolUse"]) {
      const given = { event, session_id: session, prompt_id: "p1", ...tool };
      await server.request("tools/call", { name: "shim_hook", arguments: given });
    }
    acknowledged.push(id);
  }
}

it(
  `kill -9 of front, host or both at ${events} random moments: no acknowledged event is lost, none is stored twice`,
  { timeout: 240_000 + events * 3_000 },
  async () => {
    const paths = homeWithoutRetention();
    const random = seededRandom(seed + 2);
    const acknowledged: string[] = [];
    let restarts = 0;
    for (let round = 1; round <= events; round++) {
      const server = spawnServer(paths);
      const ids: string[] = [];
      const life = callHooks(server, `round${round}`, ids).catch(() => undefined);
      const wanted = 1 + Math.floor(10 * random());
      while (ids.length < wanted) await pause(1);
      if (random() < 0.5) {
        killEvery(hostsOf(paths.home));
        restarts += 1;
        const more = ids.length + 5;
        while (ids.length < more) await pause(1);
      }
      await pause(4 * random());
      if (random() < 0.3) server.process.kill("SIGKILL");
      else await killAll(server, paths);
      await life;
      await server.ended;
      acknowledged.push(...ids);
    }
    // On a busy machine no host of a round lived until it had stored what waits in the spool.
    const last = spawnServer(paths);
    await last.initialize("hooks");
    while (!spool.isEmpty(paths.spool)) await pause(10);
    await killAll(last, paths);
    await last.ended;
    const store = storeOf(paths);
    expect(integrityOf(store)).toEqual(["ok"]);
    const stored = store.read((sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_end'"), []);
    // Two hosts may have been killed while they read the same event.
    const aside = setAside(paths).join("\n");
    expect(acknowledged.filter((id) => !stored.includes(`end:${id}`) && !aside.includes(`"${id}"`))).toEqual([]);
    expect(new Set(stored).size).toBe(stored.length);
    process.stdout.write(
      `hooks: ${events} kills, ${restarts} of a host before, ${acknowledged.length} events, none lost\n`,
    );
    expect(acknowledged.length).toBeGreaterThan(events);
  },
);
