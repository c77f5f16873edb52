import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { Id } from "../../../contract/values.ts";
import { isSameWorkspace, type EdgeWorkspace } from "../../../coordinator-client/edge-config.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";

/** [CL32] Private: with the deployment's secret, a request id is worth the workspace's token. */
const Requests = z.array(z.strictObject({ url: z.string(), workspace: z.string(), requestId: Id }));
type Requests = z.infer<typeof Requests>;

export function unfinishedFile(home: string): string {
  return join(home, "edge-unfinished.json");
}

/** Reuses the id of an earlier request for the workspace; stored before it is sent. */
export function startRequest(home: string, { url, workspace }: EdgeWorkspace, newId: () => string): string {
  const requests = readRequests(home);
  const known = requests.find((one) => isSameWorkspace(one, { url, workspace }));
  if (known) return known.requestId;
  const requestId = newId();
  writeRequests(home, [...requests, { url, workspace, requestId }]);
  return requestId;
}

export function finishRequest(home: string, edge: EdgeWorkspace): void {
  const rest = readRequests(home).filter((one) => !isSameWorkspace(one, edge));
  if (rest.length > 0) writeRequests(home, rest);
  else rmSync(unfinishedFile(home), { force: true });
}

/** A damaged file counts as empty: it only spares making another workspace. */
function readRequests(home: string): Requests {
  try {
    return Requests.parse(JSON.parse(readFileSync(unfinishedFile(home), "utf8")));
  } catch {
    return [];
  }
}

function writeRequests(home: string, requests: Requests): void {
  createPrivateFolder(home);
  writeAtomically(unfinishedFile(home), `${JSON.stringify(requests, null, 2)}\n`);
}
