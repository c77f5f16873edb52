import { WireError } from "../contract/errors.ts";
import { ok, type Result } from "../shared/result.ts";
import { failed, type Refused } from "./answer.ts";

/** @returns the first token of the workspace, of scope admin */
export async function createWorkspace(
  url: string,
  name: string,
  secret: string,
): Promise<Result<string, Refused["error"]>> {
  let answer: Response;
  try {
    answer = await fetch(`${url.replace(/\/+$/, "")}/v1/workspaces`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify({ workspace: name }),
      redirect: "error",
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    return failed("edge_unreachable", `${url} does not answer. Is the coordinator running (\`npm run dev\`)?`);
  }
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
