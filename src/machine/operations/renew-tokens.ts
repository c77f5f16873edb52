import type { MachineOutput } from "../../contract/machine/operations.ts";
import { writeEdgeConfig, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { ok } from "../../shared/result.ts";
import { environmentConflict, onWorkspace, requireEdge } from "./membership.ts";
import type { OperationContext, OperationResult } from "./operation-context.ts";

const dayMs = 86_400_000;

/** Only signatures change: a token whose answer is lost stays valid, and a repeat renews it. */
export async function renewTokens(
  context: OperationContext,
): Promise<OperationResult<MachineOutput<"workspace.renew-tokens">>> {
  const elsewhere = environmentConflict(context);
  if (elsewhere) return elsewhere;
  const edge = requireEdge(context);
  if (!edge.ok) return edge;
  const { token, adminToken } = edge.value;
  const work = await renewed(context, edge.value, token);
  if (!work.ok) return work;
  const admin = adminToken === undefined ? null : await renewed(context, edge.value, adminToken);
  if (admin && !admin.ok) return admin;
  const next: EdgeConfig = { ...edge.value, token: work.value, ...(admin && { adminToken: admin.value }) };
  writeEdgeConfig(context.paths.home, next);
  if (!admin) return ok({ renewed: ["work"], others: null });
  const listed = await onWorkspace(context, next, (workspace) => workspace.call("tokens.list", {}));
  if (!listed.ok) return listed;
  const others = listed.value.tokens.filter(
    ({ isRevoked, expiresInMs, signedAgoMs }) => !isRevoked && expiresInMs !== 0 && signedAgoMs > dayMs,
  );
  return ok({
    renewed: ["work", "admin"],
    others: others.map(({ id, machine, scope, signedAgoMs }) => ({ id, machine, scope, signedAgoMs })),
  });
}

function renewed(context: OperationContext, edge: EdgeConfig, token: string): Promise<OperationResult<string>> {
  return onWorkspace(context, { ...edge, token }, async (workspace) => {
    const answer = await workspace.call("tokens.renew", {});
    return answer.ok ? ok(answer.value.token) : answer;
  });
}
