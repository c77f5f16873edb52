import * as z from "zod";
import { machineOperation } from "./operation.ts";

export const updateOperations = {
  "updates.check": machineOperation({
    summary: "Ask npm whether there is a newer version; installs nothing.",
    output: z.object({
      version: z.string(),
      latest: z.string(),
      isNewer: z.boolean(),
      /** Installs the newest version. */
      command: z.string(),
    }),
    errors: ["npm_missing", "npm_failed", "not_published", "offline"],
    effect: "read",
  }),
};
