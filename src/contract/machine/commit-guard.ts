import * as z from "zod";
import { Folder } from "./forms.ts";
import { machineOperation } from "./operation.ts";

/** The git hook of a repository that refuses commits of files which another chat has reserved. */
const CommitGuard = z.object({
  isInstalled: z.boolean(),
  /** Installed by another copy of SHIM; installing it again renews it. */
  isStale: z.boolean(),
  path: z.string(),
  /** The repository's own hook, which runs first; null: it had none. */
  kept: z.string().nullable(),
});
export type CommitGuard = z.infer<typeof CommitGuard>;

export const commitGuardOperations = {
  "commit-guard.status": machineOperation({
    summary: "Whether the commit guard is installed in this repository.",
    input: z.strictObject({ folder: Folder }),
    /** `problem`: why a guard that was installed is not in force; null: none is missing. */
    output: CommitGuard.extend({ problem: z.string().nullable() }),
    errors: ["not_found", "no_git"],
    effect: "read",
    example: { folder: "/home/ada/project" },
  }),
  "commit-guard.install": machineOperation({
    summary: "Install the commit guard in this repository; an existing hook is kept and runs first.",
    input: z.strictObject({
      folder: Folder,
      shared: z.boolean().optional().describe("also where core.hooksPath names a folder that other repositories use"),
    }),
    output: CommitGuard.extend({ wasInstalled: z.boolean() }),
    errors: ["bad_input", "not_found", "no_git", "not_built", "file_exists"],
    effect: "write",
    doneBy: "caller",
    example: { folder: "/home/ada/project" },
  }),
  "commit-guard.remove": machineOperation({
    summary: "Remove the commit guard from this repository; the hook that was there before is restored.",
    input: z.strictObject({ folder: Folder }),
    /** `wasGuard` false: only what another program had left of it was removed. */
    output: CommitGuard.extend({ wasGuard: z.boolean(), restored: z.boolean() }),
    errors: ["not_found", "no_git"],
    effect: "write",
    doneBy: "caller",
    example: { folder: "/home/ada/project" },
  }),
};
