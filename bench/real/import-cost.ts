import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ms, type Row } from "../figures.ts";
import { Machine } from "./machine.ts";
import type { SessionClient } from "./session-events.ts";

const boundMs = 1_000;
const boundBytes = 4_000_000;

interface Largest {
  readonly path: string;
  readonly bytes: number;
}

/** A whole transcript through `shim resume --from-transcript`: processor time of the command and of its host, and memory. */
export class ImportCost {
  readonly #largest = new Map<SessionClient, Largest>();

  /** Of each client the largest transcript up to the size that the goal names is measured. */
  offer(client: SessionClient, path: string, bytes: number): void {
    if (bytes <= boundBytes && bytes > (this.#largest.get(client)?.bytes ?? 0))
      this.#largest.set(client, { path, bytes });
  }

  async rows(): Promise<Row[]> {
    const rows: Row[] = [];
    for (const [client, { path, bytes }] of this.#largest) {
      const folder = mkdtempSync(join(tmpdir(), "shim-import-"));
      const machine = new Machine(join(folder, "machine"), folder, Date.now());
      const { cpuMs, memory, refusal } = await machine.resume("--from-transcript", path);
      await machine.remove();
      rmSync(folder, { recursive: true });
      const name = `${client}, ${(bytes / 1e6).toFixed(1)} MB: processor time of command and host, memory at most`;
      const figure = `${ms(cpuMs)}, ${Math.round(memory / 1e6)} MB`;
      const verdict = refusal === null ? { isReached: cpuMs < boundMs } : { against: `refused: ${refusal}` };
      rows.push({ group: "import", n: refusal === null ? 1 : 0, name, figure, goal: "4 MB within 1 s", ...verdict });
    }
    return rows;
  }
}
