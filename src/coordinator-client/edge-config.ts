import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { Workspace } from "../contract/values.ts";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { parseAddress, readTokenMachine, isMachineToken, withoutLastSlashes } from "./edge/address.ts";
import { createPrivateFolder, removeDurably, writeAtomically } from "../platform/private-files.ts";
import { parseJson } from "../shared/json-fields.ts";

/** Name of the workspace of a machine that has joined none. */
export const localWorkspace = "local";

/** The only coordinator; `edge.json` is owner-readable only, since it holds tokens. */
const EdgeConfig = z.strictObject({
  url: z.string(),
  workspace: Workspace,
  /** Name of this machine; its tokens are bound to it. */
  machine: z.string(),
  token: z.string(),
  adminToken: z.string().optional(),
});
export type EdgeConfig = z.infer<typeof EdgeConfig>;

export type EdgeWorkspace = Pick<EdgeConfig, "url" | "workspace">;

export function isSameWorkspace(a: EdgeWorkspace, b: EdgeWorkspace): boolean {
  return nameOf(a) === nameOf(b);
}

/** Unique among all coordinators. */
export function nameOf({ url, workspace }: EdgeWorkspace): string {
  return `${withoutLastSlashes(url)} ${workspace}`;
}

export function edgeConfigPath(home: string): string {
  return join(home, "edge.json");
}

/** @returns null: this machine's file decides. The environment wins over `edge.json`. */
export function readEdgeConfig(home: string, env: NodeJS.ProcessEnv = {}): Result<EdgeConfig | null, string> {
  const fromEnv = edgeConfigFromEnv(env);
  return fromEnv.ok && fromEnv.value === null ? readFile(edgeConfigPath(home)) : fromEnv;
}

const requiredNames = ["SHIM_EDGE_URL", "SHIM_WORKSPACE", "SHIM_TOKEN"] as const;

/** Reads the environment; Claude Desktop sets unfilled settings to empty strings. */
export function edgeConfigFromEnv(env: NodeJS.ProcessEnv): Result<EdgeConfig | null, string> {
  const missing = requiredNames.filter((name) => envText(env, name) === "");
  if (missing.length === requiredNames.length) return ok(null);
  if (missing.length > 0) {
    return err(
      `${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing; set all of ${requiredNames.join(", ")}, or none`,
    );
  }
  const [url = "", workspace = "", token = ""] = requiredNames.map((name) => envText(env, name));
  const address = parseAddress(url, workspace);
  if (!address.ok) return err(`SHIM_EDGE_URL and SHIM_WORKSPACE: ${address.error}`);
  if (!isMachineToken(token)) return err("SHIM_TOKEN is not a token as shown by `shim workspace token create ...`");
  const machine = machineOf(env, token);
  return machine.ok ? ok({ url, workspace, machine: machine.value, token }) : machine;
}

/** A token acts for its own machine only, so another name could never register. */
function machineOf(env: NodeJS.ProcessEnv, token: string): Result<string, string> {
  const statedMachine = envText(env, "SHIM_MACHINE");
  const claimedMachine = readTokenMachine(token);
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

export function mayBeJoined(home: string, env: NodeJS.ProcessEnv): boolean {
  return existsSync(edgeConfigPath(home)) || requiredNames.some((name) => envText(env, name) !== "");
}

function readFile(path: string): Result<EdgeConfig | null, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return codeOf(error) === "ENOENT" ? ok(null) : err(`${path} cannot be read (${String(codeOf(error))})`);
  }
  const parsed = EdgeConfig.safeParse(parseJson(text));
  // Never quote the text: it may hold a token.
  return parsed.success ? ok(parsed.data) : err(`${path} is damaged; \`shim workspace leave\` removes it`);
}

export function writeEdgeConfig(home: string, edge: EdgeConfig): void {
  createPrivateFolder(home);
  writeAtomically(edgeConfigPath(home), `${JSON.stringify(edge, null, 2)}\n`);
}

export function removeEdgeConfig(home: string): void {
  removeDurably(edgeConfigPath(home));
}
