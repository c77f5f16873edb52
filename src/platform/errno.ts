import { constants } from "node:os";
import { codeOf } from "../shared/error.ts";

/** The system's name of an error, such as ENOSPC. Node does not know that of a quota. */
export function errnoOf(error: unknown): string | null {
  const isQuota = error instanceof Error && "errno" in error && error.errno === -constants.errno.EDQUOT;
  return isQuota ? "EDQUOT" : codeOf(error);
}
