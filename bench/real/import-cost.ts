import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { numberAt, parseObject } from "../../src/shared/json-fields.ts";
import { ms, type Row } from "../figures.ts";
import type { SessionClient } from "./session-events.ts";

const program = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");
/** Writes what the process used; the launcher and the program are one process or two. */
const probe = `import{appendFileSync}from"node:fs";process.on("exit",()=>appendFileSync(process.env.SHIM_BENCH_USAGE,JSON.stringify(process.resourceUsage())+"\\n"))`;
const boundMs = 1_000;
const boundBytes = 4_000_000;
const kilobyte = 1_024;

interface Largest {
  readonly path: string;
  readonly bytes: number;
}

/** A whole transcript through `shim resume --from-transcript` of the built program: processor time and memory. */
export class ImportCost {
  readonly #largest = new Map<SessionClient, Largest>();

  /** Of each client the largest transcript up to the size that the goal names is measured. */
  offer(client: SessionClient, path: string, bytes: number): void {
    if (bytes <= boundBytes && bytes > (this.#largest.get(client)?.bytes ?? 0))
      this.#largest.set(client, { path, bytes });
  }

  rows(): Row[] {
    return [...this.#largest].map(([client, { path, bytes }]): Row => {
      const { cpuMs, memory, isRefused } = measureImport(path);
      const size = `${(bytes / 1e6).toFixed(1)} MB`;
      const name = `${client}, ${size}: processor time of a process, memory at most`;
      const figure = `${ms(cpuMs)}, ${Math.round(memory / 1e6)} MB`;
      if (isRefused) return { group: "import", name, figure: "refused" };
      return { group: "import", name, figure, goal: "4 MB within 1 s", isReached: cpuMs < boundMs };
    });
  }
}

function measureImport(path: string): { readonly cpuMs: number; readonly memory: number; readonly isRefused: boolean } {
  const home = mkdtempSync(join(tmpdir(), "shim-import-"));
  const usage = join(home, "usage");
  const env = {
    PATH: process.env["PATH"],
    HOME: home,
    SHIM_HOME: join(home, "shim"),
    SHIM_BENCH_USAGE: usage,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(probe)}`,
  };
  const args = [program, "resume", "--print", "--json", "--from-transcript", path];
  const { status } = spawnSync(process.execPath, args, { cwd: home, env, stdio: "ignore" });
  const used = readFileSync(usage, "utf8").split("\n").map(parseObject);
  rmSync(home, { recursive: true });
  const cpuUs = used.map((one) => (numberAt(one, "userCPUTime") ?? 0) + (numberAt(one, "systemCPUTime") ?? 0));
  const memory = Math.max(...used.map((one) => numberAt(one, "maxRSS") ?? 0)) * kilobyte;
  return { cpuMs: cpuUs.reduce((sum, one) => sum + one, 0) / 1_000, memory, isRefused: status !== 0 };
}
