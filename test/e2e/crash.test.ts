import { setImmediate as turn } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import type { McpConnection } from "#harness/machine/mcp-connection.ts";
import { answered, homeWithoutRetention, integrityOf, nextStepOf, setting } from "#harness/machine/mcp-process.ts";
import { startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { familyOf, hostsOf, killed } from "#harness/machine/process-tree.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

/** `npm run stress -- crash --rounds 1000` */
const rounds = setting("SHIM_CRASH_ROUNDS", 4);
const seed = setting("SHIM_CRASH_SEED", 1);
const polling = { ...patience, interval: 5 };

/** A client that saves as fast as it is answered, until it is killed; the step under way may then be stored or not. */
function saving(server: McpConnection, name: string, random: () => number) {
  const saves = { acknowledged: [] as { checkpoint: string; nextStep: string }[], underWay: "" };
  const work = async (): Promise<never> => {
    for (let n = 1; ; n++) {
      const nextStep = (saves.underWay = `${name}.${n}`);
      const filler = Array.from({ length: 1 + 300 * random() }, () => random().toString(36));
      const given = { goal: "survive", nextStep, state: { filler } };
      const { checkpoint } = await answered(server, "shim_force_checkpoint", given);
      saves.acknowledged.push({ checkpoint: String(checkpoint), nextStep });
    }
  };
  return { saves, end: work().catch(String) };
}

it(
  `kill -9 of a chat's processes, ${rounds} times while it saves: nothing acknowledged is lost, and the next brief has the last step`,
  { timeout: 240_000 + rounds * 2_000 },
  async () => {
    const paths = homeWithoutRetention();
    const random = seededRandom(seed);
    let expected: string[] = [];
    let acknowledged = 0;
    for (let round = 1; round <= rounds; round++) {
      const where = `seed ${seed}, round ${round}`;
      const server = await startServer(paths);
      const { brief } = await answered(server, "shim_check_recovery", {});
      const line = String(brief).match(/^- next step \(.*$/m)?.[0] ?? "";
      const found = expected.filter((step) => line.endsWith(`: ${step}`));
      expect(found, `${where}: ${String(brief)}`).toHaveLength(Math.min(1, expected.length));
      const { saves, end } = saving(server, `round${round}`, random);
      const count = 1 + Math.floor(6 * random());
      await vi.waitUntil(() => saves.acknowledged.length >= count, polling);
      for (let turns = Math.floor(20 * random()); turns > 0; turns--) await turn();
      await killed([...familyOf(server.pid), ...hostsOf(paths.home)]);
      expect(await end).toContain("the MCP process has ended (SIGKILL)");
      const store = storeOf(paths);
      expect(integrityOf(store), where).toEqual(["ok"]);
      const lost = saves.acknowledged.filter((one) => nextStepOf(store, one.checkpoint) !== one.nextStep);
      expect(lost, where).toEqual([]);
      store.close();
      expected = [saves.acknowledged.at(-1)?.nextStep ?? "", saves.underWay];
      acknowledged += saves.acknowledged.length;
    }
    process.stdout.write(`crash: ${rounds} kills, ${acknowledged} saves before them, none lost\n`);
  },
);
