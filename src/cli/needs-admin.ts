import { failed, type FailedResult } from "./answer.ts";
import type { CoordinatorLink } from "./coordinator-link.ts";

/** [CL62] [CL104] A joined machine may work, not administer. @param what begins the sentence */
export function needsAdmin(link: CoordinatorLink, what: string, refused: FailedResult): FailedResult {
  const { code, message } = refused.error;
  if (code !== "forbidden") return refused;
  return failed(code, `${message}. ${what} needs the admin token of ${link.where}; this machine has none.`);
}
