import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { startHost } from "#harness/machine/host-process.ts";
import { built, envOf, homeWithoutRetention, setting } from "#harness/machine/mcp-process.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";

const kills = setting("SHIM_EFFECT_KILLS", 30);
const seed = setting("SHIM_EFFECT_KILLS_SEED", 1);
const script = join(dirname(built.hook), "shim-hook");
const child = join(import.meta.dirname, "..", "harness", "effects", "client-child.ts");
const steps = 4;
/** Longer than a client without kills takes. */
const lifeMs = 2_500;

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

it(
  `${kills} times kill -9 of a client, every other time with its command: no deployment is repeated @night`,
  { timeout: 240_000 + kills * 10_000 },
  async () => {
    const paths = homeWithoutRetention();
    const commands = [{ words: "deploy.sh *", kind: "deployment" }];
    writeFileSync(paths.config, JSON.stringify({ effects: { guard: "on", commands } }));
    await startHost(paths);
    const random = seededRandom(seed);
    let [killed, lives] = [0, 0];
    while (killed < kills) {
      const folder = temporaryFolder();
      write(folder, { "deploy.sh": 'echo $$ > pid\nsleep 0.1\necho "$1" >> log\nsleep 0.1\n' });
      while (!existsSync(join(folder, "over"))) {
        const session = `life-${(lives += 1)}`;
        const args = [child, folder, session, script, String(steps)];
        const env = { ...envOf(paths), NODE_NO_WARNINGS: "1" };
        const client = spawn(process.execPath, args, { env, stdio: "ignore", detached: true });
        const ended = once(client, "exit");
        const isMortal = killed < kills;
        if (isMortal) await Promise.race([ended, pause(lifeMs * random())]);
        if (isMortal && client.exitCode === null) {
          killed += 1;
          process.kill(killed % 2 === 0 ? -client.pid! : client.pid!, "SIGKILL");
        }
        await ended;
        // A command that outlives its client ends by itself.
        const [pid] = linesOf(join(folder, "pid"));
        await vi.waitUntil(() => pid === undefined || systemProcesses.facts(Number(pid)) === null, {
          timeout: 120_000,
        });
      }
      expect(linesOf(join(folder, "log")).toSorted()).toEqual(Array.from({ length: steps }, (_, n) => String(n)));
      rmSync(join(folder, "over"));
    }
    killEvery(hostsOf(paths.home));
  },
);
