import { existsSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { Workspace } from "../contract/workspaces.ts";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { parseAddress } from "./edge/address.ts";
import { readTokenClaim, isMachineToken } from "./edge/machine-token.ts";
import { createPrivateFolder, removeDurably, writeAtomically } from "../platform/private-files.ts";

/**
 * Who decides for this machine's chats: the file of this machine, or a coordinator on the edge. [EM3] Exactly one of the two; the environment
 * says which, else the file `edge.json` in SHIM's folder, readable by its owner only, since it holds tokens.
 */
const EdgeConfig = z.strictObject({
  url: z.string(),
  workspace: Workspace,
  /** How this machine calls itself; its tokens are for this name. */
  machine: z.string(),
  token: z.string(),
  /** Only where the workspace was made here. */
  adminToken: z.string().optional(),
});
export type EdgeConfig = z.infer<typeof EdgeConfig>;

export type EdgeWorkspace = Pick<EdgeConfig, "url" | "workspace">;

export function isSameWorkspace(a: EdgeWorkspace, b: EdgeWorkspace): boolean {
  return a.workspace === b.workspace && a.url.replace(/\/+$/, "") === b.url.replace(/\/+$/, "");
}

export function edgeConfigPath(home: string): string {
  return join(home, "edge.json");
}

/** Null: this machine's own file decides. [DX4] Where the environment names a workspace, it wins over `edge.json`. */
export function readEdgeConfig(home: string, env: NodeJS.ProcessEnv = {}): Result<EdgeConfig | null, string> {
  const fromEnv = edgeConfigFromEnv(env);
  return fromEnv.ok && fromEnv.value === null ? readConfigFile(edgeConfigPath(home)) : fromEnv;
}

const requiredNames = ["SHIM_EDGE_URL", "SHIM_WORKSPACE", "SHIM_TOKEN"] as const;

/** What the environment says, for clients that keep settings of their own (Claude Desktop's are empty where nothing was filled in). */
export function edgeConfigFromEnv(env: NodeJS.ProcessEnv): Result<EdgeConfig | null, string> {
  const missing = requiredNames.filter((name) => envText(env, name) === "");
  if (missing.length === requiredNames.length) return ok(null);
  if (missing.length > 0) {
    return err(
      `${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing; set all of ${requiredNames.join(", ")}, or none`,
    );
  }
  const [url, workspace, token] = [
    envText(env, "SHIM_EDGE_URL"),
    envText(env, "SHIM_WORKSPACE"),
    envText(env, "SHIM_TOKEN"),
  ];
  const address = parseAddress(url, workspace);
  if (!address.ok) return err(`SHIM_EDGE_URL and SHIM_WORKSPACE: ${address.error}`);
  if (!isMachineToken(token)) return err("SHIM_TOKEN is no token, such as `shim edge token create` shows");
  const machine = machineOf(env, token);
  return machine.ok ? ok({ url, workspace, machine: machine.value, token }) : machine;
}

/** A token acts for its own machine only, so another name could never register. */
function machineOf(env: NodeJS.ProcessEnv, token: string): Result<string, string> {
  const statedMachine = envText(env, "SHIM_MACHINE");
  const claimedMachine = readTokenClaim(token, "m");
  if (claimedMachine !== null && statedMachine !== "" && statedMachine !== claimedMachine) {
    return err(
      `SHIM_TOKEN is for the machine ${claimedMachine}, and SHIM_MACHINE says ${statedMachine}; leave SHIM_MACHINE empty`,
    );
  }
  return ok(claimedMachine ?? (statedMachine || hostname()));
}

function envText(env: NodeJS.ProcessEnv, name: string): string {
  return env[name]?.trim() ?? "";
}

/** Whether there is anything to read: cheap enough to be asked every second. */
export function mayBeJoined(home: string, env: NodeJS.ProcessEnv): boolean {
  return existsSync(edgeConfigPath(home)) || requiredNames.some((name) => envText(env, name) !== "");
}

/** The file as it was read last. It is written whole, by a rename, so that another one has another inode. */
let lastRead: {
  readonly path: string;
  readonly stamp: string;
  readonly edge: Result<EdgeConfig | null, string>;
} | null = null;

function readConfigFile(path: string): Result<EdgeConfig | null, string> {
  const stamp = stampOf(path);
  if (stamp === null) return parseFile(path);
  if (lastRead?.path !== path || lastRead.stamp !== stamp) lastRead = { path, stamp, edge: parseFile(path) };
  return lastRead.edge;
}

/** Null: there is no file, or it cannot be looked up. */
function stampOf(path: string): string | null {
  try {
    const { ino, mtimeNs, size, mode } = statSync(path, { bigint: true });
    return `${ino} ${mtimeNs} ${size} ${mode}`;
  } catch {
    return null;
  }
}

function parseFile(path: string): Result<EdgeConfig | null, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return codeOf(error) === "ENOENT" ? ok(null) : err(`${path} cannot be read (${String(codeOf(error))})`);
  }
  const parsed = EdgeConfig.safeParse(parse(text));
  // Not what is in it: that may be a token.
  return parsed.success ? ok(parsed.data) : err(`${path} is damaged; \`shim edge leave\` removes it`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export function writeEdgeConfig(home: string, edge: EdgeConfig): void {
  createPrivateFolder(home);
  writeAtomically(edgeConfigPath(home), `${JSON.stringify(edge, null, 2)}\n`);
}

export function removeEdgeConfig(home: string): void {
  removeDurably(edgeConfigPath(home));
}
