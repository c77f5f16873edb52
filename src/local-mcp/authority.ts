import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { Workspace } from "../contract/workspaces.ts";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { createPrivateFolder, writeWhole } from "./store/place.ts";

/**
 * Who decides for this machine's chats: the file of this machine, or a coordinator on the edge. [EM3] Exactly one of the two; the file
 * `edge.json` in SHIM's folder says which, readable by its owner only, since it holds tokens.
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

export type Place = Pick<Edge, "url" | "workspace">;

export function isSame(a: Place, b: Place): boolean {
  return a.workspace === b.workspace && a.url.replace(/\/+$/, "") === b.url.replace(/\/+$/, "");
}

export function edgeFile(home: string): string {
  return join(home, "edge.json");
}

/** Null: this machine's own file decides. */
export function readEdge(home: string): Result<Edge | null, string> {
  const path = edgeFile(home);
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
  rmSync(edgeFile(home), { force: true });
}
