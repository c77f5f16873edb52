import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { LocalEdge, startEdge, type LocalEdgeOptions } from "../../../scripts/local-edge.ts";
import { freePort } from "./free-port.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey, type WorkspaceKey } from "#src/machine/sharing/key-ring.ts";
import type { Self } from "#src/contract/values.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";

const root = join(import.meta.dirname, "..", "..", "..");

interface EdgeRuntimeOptions extends Pick<LocalEdgeOptions, "log" | "documents" | "bindings"> {
  /** Another one, whose state this one uses, too. */
  readonly beside?: EdgeRuntime;
  /** Clients sign in, as the guide on remote MCP says. */
  readonly isOAuth?: boolean;
}

/** Its address has to be known before it starts. */
async function oauthOptions(): Promise<Pick<LocalEdgeOptions, "port" | "bindings" | "namespaces">> {
  const port = await freePort();
  return { port, bindings: { SHIM_PUBLIC_URL: `http://127.0.0.1:${port}` }, namespaces: ["OAUTH_KV"] };
}

/** The worker under workerd, gone after the test with all that it has kept. */
export class EdgeRuntime extends LocalEdge {
  /** Where its state is. */
  readonly folder: string;

  constructor(started: ConstructorParameters<typeof LocalEdge>[0], folder: string) {
    super(started);
    this.folder = folder;
  }

  static async open({ beside, isOAuth = false, ...options }: EdgeRuntimeOptions = {}): Promise<EdgeRuntime> {
    const scratch = join(root, ".scratch");
    mkdirSync(scratch, { recursive: true });
    const folder = beside ? dirname(beside.folder) : mkdtempSync(join(scratch, "edge-"));
    const entry = join(root, "src", "worker", "worker-entry.ts");
    const oauth = isOAuth ? await oauthOptions() : {};
    const started = await startEdge({ entry, folder, ...omitUndefined({ beside }), ...options, ...oauth });
    const edge = new EdgeRuntime(started, join(folder, "state"));
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
