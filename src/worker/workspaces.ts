import type { Refusal } from "../contract/errors.ts";
import { operations, type OutputOf } from "../contract/operations.ts";
import { logProblem } from "../durable/log-problem.ts";
import type { Result } from "../shared/result.ts";
import type { AppContext, Caller } from "./callers.ts";
import { errorResponse } from "./error-response.ts";
import { check } from "./inputs.ts";

/**
 * Puts a workspace back to an earlier time: plans it, marks it outside of the storage, ends the
 * object, and starts it again, which begins a new epoch before any request.
 */
export async function restoreWorkspace(
  { env }: AppContext,
  { stub, credentials, workspace }: Caller,
  input: unknown,
): Promise<Response> {
  const checked = check(operations["workspace.restore"].input, input);
  if (!checked.ok) return errorResponse(checked.error);
  const { to, reason, quietMs, isDryRun } = checked.value;
  const id = crypto.randomUUID();
  const planned = await stub.planRestore(credentials, checked.value, id);
  if (!planned.ok) return errorResponse(planned.error);
  const { by, revoked, lost, bookmark } = planned.value;
  const answer = (epoch: number | null): Response =>
    Response.json({ lost: [...lost], revoked: revoked.length, epoch } satisfies OutputOf<"workspace.restore">);
  if (isDryRun) return answer(null);
  await env.RESTORE_MARKS?.getByName(workspace).write({ id, to, reason, quietMs, by, revoked });
  await stub.beginRestore(bookmark).catch((error: unknown) => {
    // The object ends itself, which is an error here; its next start knows what happened.
    logProblem("a restore has begun", { error: String(error) });
  });
  const epoch = await env.COORDINATOR.getByName(workspace).epochAfterRestore(id);
  const message = "the storage was not put back: nothing has changed. Repeat the restore";
  return epoch === null ? errorResponse({ code: "restore_unavailable", message }) : answer(epoch);
}

const failed: Refusal = {
  code: "internal",
  message: "the workspace was not deleted, or not all of it: repeat it",
  retryAfterMs: 1_000,
};

/** Deletes a workspace for good, with the mark of its restores. */
export async function deleteWorkspace(
  { env }: AppContext,
  { stub, credentials, workspace }: Caller,
  input: unknown,
): Promise<Response> {
  const checked = check(operations["workspace.delete"].input, input);
  if (!checked.ok) return errorResponse(checked.error);
  const answer = await stub
    .delete(credentials, checked.value)
    .catch((error: unknown): Result<string, Refusal> | null => {
      // The object ends itself when all is deleted, which is an error here.
      logProblem("a workspace is deleted", { error: String(error) });
      return null;
    });
  if (answer?.ok === false) return errorResponse(answer.error);
  if (await env.COORDINATOR.getByName(workspace).isCreated()) return errorResponse(failed);
  await env.RESTORE_MARKS?.getByName(workspace).clear();
  return Response.json({ isDeleted: true } satisfies OutputOf<"workspace.delete">);
}
