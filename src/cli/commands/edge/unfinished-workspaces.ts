import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { Id } from "../../../contract/values.ts";
import { isSameWorkspace, type EdgeWorkspace } from "../../../coordinator-client/edge-config.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";

/**
 * Requests for workspaces whose end is not known here: the same request again is answered with the same token. [CL32] Private, since with the
 * deployment's secret a request is worth the token.
 */
const Requests = z.array(z.strictObject({ url: z.string(), workspace: z.string(), requestId: Id }));
type Requests = z.infer<typeof Requests>;

export function unfinishedFile(home: string): string {
  return join(home, "edge-unfinished.json");
}

/** The id under which this workspace was asked for before, else a new one; stored before anything is sent. */
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

/** What is damaged is as if it were not there: it only spares making another workspace. */
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
