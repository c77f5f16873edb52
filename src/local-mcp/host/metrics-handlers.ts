import { ok } from "../../shared/result.ts";
import { machineMetrics } from "../metrics/machine-metrics.ts";
import type { Handlers } from "./handlers.ts";

export const metricHandlers: Handlers<"metrics.read"> = {
  /** [OB1] Each request to an edge is billed. */
  async "metrics.read"({ runtime, workspace }) {
    const opened = await workspace.open();
    if (!opened.ok) return opened;
    const sampled = opened.value.isEdge ? ok({ samples: [] }) : await opened.value.call("metrics", {});
    return sampled.ok ? ok({ samples: [...machineMetrics(await runtime()), ...sampled.value.samples] }) : sampled;
  },
};
