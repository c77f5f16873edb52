import * as z from "zod";
import { Json } from "../json.ts";
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

const key = z.string().max(200);
const Setting = z.object({ key: z.string(), value: Json });

/** A running host as it describes itself. */
export const RunningHost = z.object({
  pid: z.int(),
  version: z.string(),
  /** Epoch ms. */
  startedAt: z.int(),
  /** Process ids of a front and of the client that started it. */
  chats: z.array(
    z.object({
      front: z.int(),
      client: z.int().nullable(),
      /** False: the front has ended, and the end of its client is waited for. */
      isConnected: z.boolean(),
    }),
  ),
});
export type RunningHost = z.infer<typeof RunningHost>;

/** `host` is null where none runs. */
const Answer = z.object({ host: RunningHost.nullable() });

export const installationOperations = {
  "checks.run": machineOperation({
    summary: "Check everything that SHIM needs on this machine, and say how to fix it.",
    input: z.strictObject({
      group: CheckGroup.optional().describe("only these"),
      folder: Folder.optional().describe("also the commit guard of this repository"),
    }),
    output: z.object({ isHealthy: z.boolean(), checks: z.array(Check) }),
    effect: "read",
  }),
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
  "config.show": machineOperation({
    summary: "The settings of this machine, and the path of their file.",
    output: z.object({ path: z.string(), config: z.record(z.string(), z.unknown()) }),
    errors: ["config_invalid"],
    effect: "read",
  }),
  "config.get": machineOperation({
    summary: "One setting, such as risk.levels.danger.",
    input: z.strictObject({ key }),
    output: Setting,
    errors: ["bad_input", "config_invalid"],
    effect: "read",
    example: { key: "risk.levels.danger" },
  }),
  "config.set": machineOperation({
    summary: "Change a setting; comments in the file stay.",
    input: z.strictObject({ key, value: Json }),
    output: Setting,
    errors: ["bad_input", "config_invalid"],
    effect: "write",
    doneBy: "caller",
    example: { key: "risk.levels.danger", value: 0.8 },
  }),
  "config.unset": machineOperation({
    summary: "Go back to the default.",
    input: z.strictObject({ key }),
    output: Setting,
    errors: ["bad_input", "config_invalid"],
    effect: "write",
    doneBy: "caller",
    example: { key: "risk.levels.danger" },
  }),
  "host.status": machineOperation({
    summary: "The process that serves all chats of this machine.",
    output: Answer,
    errors: ["host_unusable"],
    effect: "read",
  }),
  "host.stop": machineOperation({
    summary: "End the process that serves all chats of this machine; open chats start another.",
    output: Answer,
    errors: ["host_unusable"],
    effect: "write",
    doneBy: "caller",
  }),
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
