import * as z from "zod";
import { machineOperation } from "./operation.ts";

export const Notice = z.object({
  id: z.int(),
  /** Epoch ms. */
  at: z.int(),
  kind: z.string(),
  text: z.string(),
});
export type Notice = z.infer<typeof Notice>;

export const noticeOperations = {
  "notices.list": machineOperation({
    summary: "Notices that nobody has acknowledged, oldest first.",
    output: z.object({ notices: z.array(Notice) }),
    effect: "read",
  }),
  "notices.acknowledge": machineOperation({
    summary: "Acknowledge all open notices.",
    output: z.object({ acknowledged: z.array(Notice) }),
    effect: "write",
  }),
};
