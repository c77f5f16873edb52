import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { LocalEdge, startEdge, type LocalEdgeOptions } from "../../../scripts/local-edge.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey } from "#src/local-mcp/sync/key-ring.ts";
import type { Self } from "#src/contract/values.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";
import type { WorkspaceKey } from "#src/local-mcp/sync/workspace-key.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** The worker under workerd, gone after the test with all that it has kept. */
export class EdgeRuntime extends LocalEdge {
  /** Where its state is. */
  readonly folder: string;

  constructor(started: ConstructorParameters<typeof LocalEdge>[0], folder: string) {
    super(started);
    this.folder = folder;
  }

  /** @param beside another one, whose state this one uses, too */
  static async open({
    beside,
    log,
  }: { beside?: EdgeRuntime; log?: LocalEdgeOptions["log"] } = {}): Promise<EdgeRuntime> {
    const scratch = join(root, ".scratch");
    mkdirSync(scratch, { recursive: true });
    const folder = beside ? dirname(beside.folder) : mkdtempSync(join(scratch, "edge-"));
    const entry = join(root, "src", "worker", "worker-entry.ts");
    const edge = new EdgeRuntime(
      await startEdge({ entry, folder, ...omitUndefined({ beside, log }) }),
      join(folder, "state"),
    );
    onTestFinished(async () => {
      await edge.close();
      if (!beside) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    return edge;
  }

  /** Registers a chat, with which requests are made by hand. */
  async register(chat: string): Promise<Self> {
    const about = { chat, session: chat, process: `boot/1/${chat}`, machine: "m", client: "test" };
    const { incarnation } = await this.call("chats.register", about);
    return { chat, incarnation };
  }

  /** The home is of a machine of the workspace from now on. */
  async join(home: string, machine: string, key?: WorkspaceKey): Promise<void> {
    const { token } = await this.call("tokens.create", { machine, scope: "work" });
    const { url, workspace } = this;
    mkdirSync(home, { recursive: true, mode: 0o700 });
    writeEdgeConfig(home, { url, workspace, machine, token });
    if (key) addKey(home, { url, workspace }, key);
  }
}
