import { WireError } from "../contract/errors.ts";
import { writeEdge, type Edge } from "../local-mcp/authority.ts";
import { newId } from "../local-mcp/edge/outside.ts";
import { systemOutside } from "../local-mcp/edge/system-outside.ts";
import { ok, type Result } from "../shared/result.ts";
import { failed, type Refused } from "./answer.ts";
import { remote } from "./coordination.ts";
import { begin, finish } from "./unfinished-workspaces.ts";

/**
 * Makes a workspace and joins it with this machine. [CL32] Whatever is lost on the way, the same command again goes on where it was.
 *
 * @param secret of the deployment
 */
export async function createWorkspace(
  home: string,
  edge: Pick<Edge, "url" | "workspace" | "machine">,
  secret: string,
): Promise<Result<void, Refused["error"]>> {
  const requestId = begin(home, edge, () => newId(systemOutside()));
  const made = await firstToken(edge, secret, requestId);
  if (!made.ok) {
    if (made.error.code === "workspace_exists") finish(home, edge);
    return made;
  }
  const admin = remote(edge, made.value);
  if (!admin.ok) return admin;
  const { machine } = edge;
  // A machine may have another name by the next try.
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const own = await admin.value.call("tokens.create", { machine, scope: "work", requestId: named });
  if (!own.ok) return own;
  writeEdge(home, { ...edge, token: own.value.token, adminToken: made.value });
  finish(home, edge);
  return ok(undefined);
}

/** @returns the first token of the workspace, of scope admin */
async function firstToken(
  { url, workspace }: Pick<Edge, "url" | "workspace">,
  secret: string,
  requestId: string,
): Promise<Result<string, Refused["error"]>> {
  const answer = await asked(url, secret, { workspace, requestId });
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

async function asked(url: string, secret: string, body: object): Promise<Response | null> {
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
