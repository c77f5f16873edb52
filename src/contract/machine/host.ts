import * as z from "zod";
import { machineOperation } from "./operation.ts";

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

export const hostOperations = {
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
};
