import { Workspace } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { parseObject, textAt } from "../../shared/json-fields.ts";
import { reachOf } from "../../shared/host-reach.ts";

export interface Address {
  readonly http: string;
  readonly socket: string;
}

/** @returns else the problem, without the address, which may hold a secret */
export function parseAddress(edge: string, workspace: string): Result<Address, string> {
  const url = URL.canParse(edge) ? new URL(edge) : null;
  if (!url) return err("the address of the coordinator is not a URL, such as https://shim.example.com");
  const problem = findAddressProblem(url);
  if (problem) return err(problem);
  if (!Workspace.safeParse(workspace).success) {
    return err("the name of a workspace has 2 to 63 lower case letters, digits and -");
  }
  const http = `${url.origin}${withoutLastSlashes(url.pathname)}/v1/workspaces/${workspace}`;
  return ok({ http, socket: `${http.replace(/^http/, "ws")}/connect` });
}

/** So that a path can follow. */
export function withoutLastSlashes(url: string): string {
  return url.replace(/(?<!\/)\/+$/, "");
}

function findAddressProblem(url: URL): string | null {
  if (url.username || url.password) return "the address of the coordinator must not hold a user or password";
  if (url.search || url.hash) return "the address of the coordinator must not have a query or a fragment";
  if (url.protocol === "https:") return null;
  if (url.protocol !== "http:") return "the address of the coordinator must begin with https://";
  return reachOf(url.hostname) === "machine"
    ? null
    : "plain http:// is only for this machine (localhost); use https://";
}

/** Refuses a token that no header can hold before an error could print it. */
export function isToken(token: string): boolean {
  return /^[\x21-\x7e]{1,4096}$/.test(token);
}

export function requestHeaders(token: string, protocol: number): Record<string, string> {
  return { authorization: `Bearer ${token}`, "shim-protocol": String(protocol) };
}

export function isMachineToken(token: string): boolean {
  return /^shim_[\w.-]+$/.test(token);
}

/** The machine that a token claims to be of. */
export function readTokenMachine(token: string): string | null {
  const text = Buffer.from(token.slice(5).split(".")[0] ?? "", "base64url").toString("utf8");
  return textAt(parseObject(text), "m");
}
