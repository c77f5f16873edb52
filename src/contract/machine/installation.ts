import * as z from "zod";
import { Json } from "../values.ts";
import { declare } from "../operation.ts";

export const Check = z.object({
  /** Stable. */
  name: z.string(),
  state: z.enum(["ok", "warn", "fail"]),
  text: z.string(),
  /** The way to mend it; null where nothing is wrong. */
  fix: z.string().nullable(),
});
export type Check = z.infer<typeof Check>;

export const CheckGroup = z.enum(["machine", "notifications", "trust", "store", "workspace"]);
export type CheckGroup = z.infer<typeof CheckGroup>;

const key = z.string().max(200);
const Setting = z.object({ key: z.string(), value: Json });

/** A running host as it describes itself. */
export const HostStatus = z.object({
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
      /** Hooks of the client brought no event; null: one came. `isAtWork`: it has a transcript. */
      silent: z.object({ client: z.string(), ms: z.int(), isAtWork: z.boolean() }).nullable(),
    }),
  ),
});
export type HostStatus = z.infer<typeof HostStatus>;

/** `host` is null where none runs; `failure`: why the last one could not start. */
const Answer = z.object({ host: HostStatus.nullable(), failure: z.string().optional() });

export const installationOperations = {
  "checks.run": declare("caller", "read", {
    summary: "Check everything that SHIM needs on this machine, and say how to fix it.",
    input: z.strictObject({
      group: CheckGroup.optional().describe(
        "only these; absent: all but those of the workspace, which ask its coordinator",
      ),
    }),
    output: z.object({ isHealthy: z.boolean(), checks: z.array(Check) }),
  }),
  "config.show": declare("caller", "read", {
    summary: "The settings of this machine, and the path of their file.",
    output: z.object({ path: z.string(), config: z.record(z.string(), z.unknown()) }),
    errors: ["config_invalid"],
  }),
  "config.get": declare("caller", "read", {
    summary: "One setting, such as risk.thresholds.memory.",
    input: z.strictObject({ key }),
    output: Setting,
    errors: ["bad_input", "config_invalid", "not_released"],
    example: { key: "risk.thresholds.memory" },
  }),
  "config.set": declare("caller", "write", {
    summary: "Change a setting; comments in the file stay.",
    input: z.strictObject({ key, value: Json }),
    output: Setting,
    errors: ["bad_input", "config_invalid", "not_released"],
    example: { key: "risk.thresholds.memory", value: 0.8 },
  }),
  "config.unset": declare("caller", "write", {
    summary: "Go back to the default.",
    input: z.strictObject({ key }),
    output: Setting,
    errors: ["bad_input", "config_invalid", "not_released"],
    example: { key: "risk.thresholds.memory" },
  }),
  "host.status": declare("caller", "read", {
    summary: "The process that serves all chats of this machine.",
    output: Answer,
    errors: ["host_unusable"],
  }),
  "host.stop": declare("caller", "write", {
    summary: "End the process that serves all chats of this machine; open chats start another.",
    output: Answer,
    errors: ["host_unusable"],
  }),
};
