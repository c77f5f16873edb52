import * as z from "zod";
import { Folder } from "./forms.ts";
import { machineOperation } from "./operation.ts";

export const Check = z.object({
  /** Stable. */
  name: z.string(),
  state: z.enum(["ok", "warn", "fail"]),
  text: z.string(),
  /** The way to mend it; null where nothing is wrong. */
  fix: z.string().nullable(),
});
export type Check = z.infer<typeof Check>;

export const CheckGroup = z.enum(["machine", "notifications", "trust", "store"]);
export type CheckGroup = z.infer<typeof CheckGroup>;

export const checkOperations = {
  "checks.run": machineOperation({
    summary: "Check everything that SHIM needs on this machine, and say how to fix it.",
    input: z.strictObject({
      group: CheckGroup.optional().describe("only these"),
      folder: Folder.optional().describe("also the commit guard of this repository"),
    }),
    output: z.object({ isHealthy: z.boolean(), checks: z.array(Check) }),
    effect: "read",
  }),
};
