import { isRecord } from "../../shared/json-fields.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { mayJoinTeam } from "../team/may-join.ts";
import { version } from "../../platform/version.ts";
import { instructions } from "./instructions.ts";

export const serverInfo = { name: "shim", title: "SHIM", version };

/** Versions that the SDK serves, newest first. */
const newestVersion = "2025-11-25";
const olderVersions: ReadonlySet<unknown> = new Set(["2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"]);

const listChanged = { listChanged: true };

/**
 * The result of `initialize`, identical to the SDK's, but before the worker has started. An unknown
 * version is answered with the newest one (MCP 2025-11-25, "Lifecycle").
 *
 * @returns null for an incomplete request, which the worker refuses
 */
export function initializeResult(runtime: Runtime, params: unknown): object | null {
  if (!isComplete(params)) return null;
  return {
    protocolVersion: olderVersions.has(params["protocolVersion"]) ? params["protocolVersion"] : newestVersion,
    capabilities: { tools: listChanged, resources: listChanged, prompts: listChanged },
    serverInfo,
    instructions: instructions(runtime, mayJoinTeam(runtime), nameOfClient(params)),
  };
}

function nameOfClient({ clientInfo }: Readonly<Record<string, unknown>>): string | null {
  return isRecord(clientInfo) && typeof clientInfo["name"] === "string" ? clientInfo["name"] : null;
}

function isComplete(params: unknown): params is Record<string, unknown> {
  if (!isRecord(params) || !isRecord(params["capabilities"]) || !isRecord(params["clientInfo"])) return false;
  const { name, version: clientVersion } = params["clientInfo"];
  return [params["protocolVersion"], name, clientVersion].every((value) => typeof value === "string");
}
