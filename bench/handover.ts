import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Given, Taken } from "../src/contract/machine/handover.ts";
import { folderOnDisk, range, sample, scaled, timed } from "./measure.ts";
import { connect } from "./mcp-server.ts";
import { SyncRig, type Machine } from "./sync/sync.ts";

const rounds = scaled(5);
/** Bytes that do not compress: together 8 MB, below what a hand-over takes. */
const files = { count: 20, bytes: 400_000 } as const;

const run = promisify(execFile);

/** `shim give` on one machine and `shim take` on another one, with 8 MB of uncommitted files; in s. */
export async function handover() {
  const rig = await SyncRig.open(join(folderOnDisk("handover"), "rig"));
  const times: { give: number[]; take: number[] } = { give: [], take: [] };
  try {
    for (const round of range(rounds, (n) => n)) {
      const origin = rig.origin(`project-${round}`);
      const giver = await rig.machine(`giver-${round}`, origin);
      const taker = await rig.machine(`taker-${round}`, origin);
      const session = await work(giver);
      let link = "";
      let folder = "";
      times.give.push(await timed(async () => void (link = (await shim<Given>(giver, "give", session)).link ?? "")));
      times.take.push(await timed(async () => void (folder = (await shim<Taken>(taker, "take", link)).folder)));
      for (const name of names)
        if (!readFileSync(join(folder, name)).equals(readFileSync(join(giver.project, name))))
          throw new Error(`${name} is not as it was`);
    }
  } finally {
    await rig.close();
  }
  const [give, take] = [sample(times.give).p50 / 1_000, sample(times.take).p50 / 1_000];
  return { give, take, both: give + take, megabytes: (files.count * files.bytes) / 1_000_000 };
}

const names = range(files.count, (n) => `file-${n}.bin`);

/** A session that is saved, and files that git does not know. @returns its id */
async function work({ project, env }: Machine): Promise<string> {
  for (const name of names) writeFileSync(join(project, name), randomBytes(files.bytes));
  const server = await connect(["dist/mcp.cjs"], env);
  try {
    const saved = await server.call("shim_force_checkpoint", { project, goal: "hand this over" });
    return String(saved["session"]);
  } finally {
    await server.close();
  }
}

async function shim<Answer>({ env, project }: Machine, ...command: readonly string[]): Promise<Answer> {
  const program = join(process.cwd(), "bin", "shim.mjs");
  const own = { cwd: project, env: { PATH: process.env["PATH"], ...env } };
  const { stdout } = await run(process.execPath, [program, ...command, "--json"], own);
  return JSON.parse(stdout) as Answer;
}
