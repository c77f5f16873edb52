import { operations, type OutputOf } from "../contract/operations.ts";
import type { Refusal } from "../contract/errors.ts";
import { logProblem } from "../durable/log-problem.ts";
import type { Result } from "../shared/result.ts";
import type { AppContext, Caller } from "./callers.ts";
import { errorResponse } from "./error-response.ts";
import { check } from "./inputs.ts";

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
