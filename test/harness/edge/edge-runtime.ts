import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { LocalEdge, startEdge } from "../../../scripts/local-edge.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** The worker under workerd, gone after the test with all that it has kept. */
export class EdgeRuntime extends LocalEdge {
  /** Where its state is. */
  readonly folder: string;

  constructor(started: ConstructorParameters<typeof LocalEdge>[0], folder: string) {
    super(started);
    this.folder = folder;
  }

  static async open(): Promise<EdgeRuntime> {
    const scratch = join(root, ".scratch");
    mkdirSync(scratch, { recursive: true });
    const folder = mkdtempSync(join(scratch, "edge-"));
    const edge = new EdgeRuntime(
      await startEdge({ entry: join(root, "src", "worker", "worker-entry.ts"), folder }),
      join(folder, "state"),
    );
    onTestFinished(async () => {
      await edge.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    return edge;
  }
}
