import { existsSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { Workspace } from "../contract/workspaces.ts";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { addressOf } from "./edge/address.ts";
import { claimOf, isMachineToken } from "./edge/machine-token.ts";
import { createPrivateFolder, removeWhole, writeWhole } from "./store/store-files.ts";

/**
 * Who decides for this machine's chats: the file of this machine, or a coordinator on the edge. [EM3] Exactly one of the two; the environment
 * says which, else the file `edge.json` in SHIM's folder, readable by its owner only, since it holds tokens.
 */
const Edge = z.strictObject({
  url: z.string(),
  workspace: Workspace,
  /** How this machine calls itself; its tokens are for this name. */
  machine: z.string(),
  token: z.string(),
  /** Only where the workspace was made here. */
  adminToken: z.string().optional(),
});
export type Edge = z.infer<typeof Edge>;

export type EdgeWorkspace = Pick<Edge, "url" | "workspace">;

export function isSame(a: EdgeWorkspace, b: EdgeWorkspace): boolean {
  return a.workspace === b.workspace && a.url.replace(/\/+$/, "") === b.url.replace(/\/+$/, "");
}

export function edgeFile(home: string): string {
  return join(home, "edge.json");
}

/** Null: this machine's own file decides. [DX4] Where the environment names a workspace, it wins over `edge.json`. */
export function readEdge(home: string, env: NodeJS.ProcessEnv = {}): Result<Edge | null, string> {
  const given = edgeIn(env);
  return given.ok && given.value === null ? readFile(edgeFile(home)) : given;
}

const needed = ["SHIM_EDGE_URL", "SHIM_WORKSPACE", "SHIM_TOKEN"] as const;

/** What the environment says, for clients that keep settings of their own (Claude Desktop's are empty where nothing was filled in). */
export function edgeIn(env: NodeJS.ProcessEnv): Result<Edge | null, string> {
  const missing = needed.filter((name) => textOf(env, name) === "");
  if (missing.length === needed.length) return ok(null);
  if (missing.length > 0) {
    return err(
      `${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing; set all of ${needed.join(", ")}, or none`,
    );
  }
  const [url, workspace, token] = [
    textOf(env, "SHIM_EDGE_URL"),
    textOf(env, "SHIM_WORKSPACE"),
    textOf(env, "SHIM_TOKEN"),
  ];
  const address = addressOf(url, workspace);
  if (!address.ok) return err(`SHIM_EDGE_URL and SHIM_WORKSPACE: ${address.error}`);
  if (!isMachineToken(token)) return err("SHIM_TOKEN is no token, such as `shim edge token create` shows");
  const machine = machineOf(env, token);
  return machine.ok ? ok({ url, workspace, machine: machine.value, token }) : machine;
}

/** A token acts for its own machine only, so another name could never register. */
function machineOf(env: NodeJS.ProcessEnv, token: string): Result<string, string> {
  const wanted = textOf(env, "SHIM_MACHINE");
  const claimed = claimOf(token, "m");
  if (claimed !== null && wanted !== "" && wanted !== claimed) {
    return err(`SHIM_TOKEN is for the machine ${claimed}, and SHIM_MACHINE says ${wanted}; leave SHIM_MACHINE empty`);
  }
  return ok(claimed ?? (wanted || hostname()));
}

function textOf(env: NodeJS.ProcessEnv, name: string): string {
  return env[name]?.trim() ?? "";
}

/** Whether there is anything to read: cheap enough to be asked every second. */
export function mayBeJoined(home: string, env: NodeJS.ProcessEnv): boolean {
  return existsSync(edgeFile(home)) || needed.some((name) => textOf(env, name) !== "");
}

/** The file as it was read last. It is written whole, by a rename, so that another one has another inode. */
let lastRead: { readonly path: string; readonly stamp: string; readonly edge: Result<Edge | null, string> } | null =
  null;

function readFile(path: string): Result<Edge | null, string> {
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

function parseFile(path: string): Result<Edge | null, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return codeOf(error) === "ENOENT" ? ok(null) : err(`${path} cannot be read (${String(codeOf(error))})`);
  }
  const parsed = Edge.safeParse(parse(text));
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

export function writeEdge(home: string, edge: Edge): void {
  createPrivateFolder(home);
  writeWhole(edgeFile(home), `${JSON.stringify(edge, null, 2)}\n`);
}

export function forgetEdge(home: string): void {
  removeWhole(edgeFile(home));
}
