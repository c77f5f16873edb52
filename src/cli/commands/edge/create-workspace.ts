import { WireError } from "../../../contract/errors.ts";
import { writeEdgeConfig, type EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { newId } from "../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { failed, type FailedResult } from "../../answer.ts";
import { callEdge } from "../../coordinator-link.ts";
import { startRequest, finishRequest } from "./unfinished-workspaces.ts";

/** [CL32] Creates and joins a workspace; idempotent. @param secret of the deployment */
export async function createWorkspace(
  home: string,
  edge: Pick<EdgeConfig, "url" | "workspace" | "machine">,
  secret: string,
): Promise<Result<void, FailedResult["error"]>> {
  const requestId = startRequest(home, edge, () => newId(nodePlatform()));
  const adminToken = await firstToken(edge, secret, requestId);
  if (!adminToken.ok) {
    if (adminToken.error.code === "workspace_exists") finishRequest(home, edge);
    return adminToken;
  }
  const { machine } = edge;
  // The machine may have another name by the next try.
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const request = { machine, scope: "work", requestId: named } as const;
  const machineToken = await callEdge(edge, adminToken.value, "tokens.create", request);
  if (!machineToken.ok) return machineToken;
  writeEdgeConfig(home, { ...edge, token: machineToken.value.token, adminToken: adminToken.value });
  finishRequest(home, edge);
  return ok(undefined);
}

async function firstToken(
  { url, workspace }: Pick<EdgeConfig, "url" | "workspace">,
  secret: string,
  requestId: string,
): Promise<Result<string, FailedResult["error"]>> {
  const answer = await postWorkspace(url, secret, { workspace, requestId });
  if (!answer)
    return failed("edge_unreachable", `${url} does not answer. Is the coordinator running (\`npm run dev\`)?`);
  const body = (await answer.json().catch(() => null)) as { token?: unknown; error?: unknown } | null;
  if (answer.ok && typeof body?.token === "string") return ok(body.token);
  const error = WireError.safeParse(body?.error);
  if (!error.success) return failed("edge_unreachable", `${url} answered ${answer.status}, and is no coordinator.`);
  const { code, message } = error.data;
  return failed(
    code,
    code === "unauthenticated" ? "SHIM_ADMIN_SECRET is not the secret of this deployment." : `${message}.`,
  );
}

async function postWorkspace(url: string, secret: string, body: object): Promise<Response | null> {
  try {
    return await fetch(`${url.replace(/\/+$/, "")}/v1/workspaces`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    return null;
  }
}
