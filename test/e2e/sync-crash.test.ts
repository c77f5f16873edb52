import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { syncCrash } from "#harness/sync/sync-crash.ts";

const rounds = Number(process.env["SHIM_SYNC_CRASH_ROUNDS"] ?? 30);

it(
  `kill -9 of the machine's process and of the runtime, ${rounds} times: nothing lost, nothing twice @night`,
  { timeout: 240_000 + rounds * 8_000 },
  async () => {
    const edge = await EdgeRuntime.open();
    const crash = await syncCrash(edge, temporaryFolder(), rounds);
    console.log(`sync crash: ${JSON.stringify({ ...crash, lost: crash.lost.length })}`);
    expect(crash).toMatchObject({ lost: [], extra: [0, 0], refused: 0 });
    expect(crash.kills).toBeGreaterThan(rounds);
    expect(crash.stored).toBeGreaterThanOrEqual(rounds);
    expect(crash.opened).toBeGreaterThan(5);
    // What the checkpoints say stands in none of the runtime's files.
    const files = filesBelow(edge.folder);
    expect(files.length).toBeGreaterThan(0);
    const bytes = files.map((file) => readFileSync(file, "latin1"));
    expect(bytes.some((text) => text.includes("r0.0"))).toBe(true);
    expect(bytes.filter((text) => text.includes("what was asked as number"))).toEqual([]);
  },
);

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());
}
