import { rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import { Id } from "../../contract/values.ts";
import { WireError } from "../../contract/wire-error.ts";
import { nameOf, type EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { err, ok } from "../../shared/result.ts";
import type { HostContext } from "./handlers.ts";
import type { HostResult, Workspace } from "./host.ts";
import { completeJoin, refuseChange } from "./join-workspace.ts";
import { chooseWork } from "./local-work.ts";
import { onWorkspace } from "./membership.ts";
import { findKey, saveKey } from "./workspace-keys.ts";
import { readJsonFile } from "../../platform/read-json-file.ts";

/** [CL32] A repeat continues under the same ids of requests. */
export async function createWorkspace(
  context: HostContext,
  { secret, earlierWork, ...next }: CheckedMachineInput<"workspace.create">,
): Promise<HostResult<MachineOutput<"workspace.create">>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (secret === undefined) {
    const message =
      "making a workspace needs the secret of the deployment in SHIM_ADMIN_SECRET (`npm run deploy` has shown it; `npm run dev` keeps it in .dev.vars).";
    return err({ code: "secret_needed", message });
  }
  const key = findKey(context, next, undefined, null);
  if (!key.ok) return key;
  const work = await chooseWork(context, earlierWork);
  if (!work.ok) return work;
  const requestId = await startRequest(context, next);
  const adminToken = await firstToken(next, secret, requestId);
  if (!adminToken.ok) {
    if (adminToken.error.code === "workspace_exists") finishRequest(context.paths.home, next);
    return adminToken;
  }
  const { url, workspace } = next;
  const admin = { url, workspace, machine: hostname(), token: adminToken.value };
  const token = await onWorkspace(context, admin, async (link) => {
    // Before any machine has a token: none can be first with another key.
    const saved = await saveKey(context, next, link, key.value);
    return saved.ok ? machineToken(link, requestId) : saved;
  });
  if (!token.ok) return token;
  const edge = { ...admin, token: token.value, adminToken: adminToken.value };
  const found = { ...key.value, isNew: true };
  const joined = await onWorkspace(context, edge, (link) =>
    completeJoin(context, { edge, link, key: found, work: work.value }),
  );
  if (joined.ok) finishRequest(context.paths.home, next);
  return joined;
}

/** The machine may have another name by the next try. */
async function machineToken({ call, machine }: Workspace, requestId: string): Promise<HostResult<string>> {
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const created = await call("tokens.create", { machine, requestId: named });
  return created.ok ? ok(created.value.token) : created;
}

const Created = z.object({ token: z.string() });
const NotCreated = z.object({ error: WireError });

async function firstToken(
  { url, workspace }: EdgeWorkspace,
  secret: string,
  requestId: string,
): Promise<HostResult<string>> {
  const answer = await fetch(`${url.replace(/(?<!\/)\/+$/, "")}/v1/workspaces`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ workspace, requestId }),
    redirect: "error",
    signal: AbortSignal.timeout(15_000),
  }).catch(() => null);
  const body: unknown = await answer?.json().catch(() => null);
  const created = Created.safeParse(body);
  if (created.success) return ok(created.data.token);
  const refused = NotCreated.safeParse(body);
  if (refused.success) {
    const { code, message } = refused.data.error;
    const isWrongSecret = code === "unauthenticated";
    return err({
      code,
      message: isWrongSecret ? "SHIM_ADMIN_SECRET is not the secret of this deployment." : `${message}.`,
    });
  }
  const message = answer
    ? `${url} answered ${answer.status}, and is not a coordinator.`
    : `${url} does not answer. Is the coordinator running (\`npm run dev\`)?`;
  return err({ code: "edge_unreachable", message });
}

/** [CL32] Private: with the deployment's secret, a request id is worth the workspace's token. */
const Requests = z.record(z.string(), Id);
type Requests = z.infer<typeof Requests>;

export function unfinishedFile(home: string): string {
  return join(home, "edge-unfinished.json");
}

/** Reuses the id of an earlier request for the workspace; stored before it is sent. */
async function startRequest({ paths, runtime }: HostContext, edge: EdgeWorkspace): Promise<string> {
  const requests = readRequests(paths.home);
  const { now, random } = await runtime();
  const requestId = requests[nameOf(edge)] ?? uuidv7(now(), random(16));
  writeRequests(paths.home, { ...requests, [nameOf(edge)]: requestId });
  return requestId;
}

function finishRequest(home: string, edge: EdgeWorkspace): void {
  const { [nameOf(edge)]: _, ...rest } = readRequests(home);
  if (Object.keys(rest).length > 0) writeRequests(home, rest);
  else rmSync(unfinishedFile(home), { force: true });
}

/** A damaged file counts as empty: it only spares making another workspace. */
function readRequests(home: string): Requests {
  return readJsonFile(unfinishedFile(home), Requests) ?? {};
}

function writeRequests(home: string, requests: Requests): void {
  createPrivateFolder(home);
  writeAtomically(unfinishedFile(home), `${JSON.stringify(requests, null, 2)}\n`);
}
