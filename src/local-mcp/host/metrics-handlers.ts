import { ok } from "../../shared/result.ts";
import * as totals from "../../store/metric-totals.ts";
import { machineMetrics } from "../metrics/machine-metrics.ts";
import type { Handlers } from "./handlers.ts";

export const metricHandlers: Handlers<"metrics.read" | "metrics.count-restart"> = {
  /** [OB1] Each request to an edge is billed. */
  async "metrics.read"({ runtime, workspace }) {
    const opened = await workspace.open();
    if (!opened.ok) return opened;
    const sampled = opened.value.isEdge ? ok({ samples: [] }) : await opened.value.call("metrics", {});
    return sampled.ok ? ok({ samples: [...machineMetrics(await runtime()), ...sampled.value.samples] }) : sampled;
  },
  async "metrics.count-restart"({ runtime }, { reason }) {
    const { store } = await runtime();
    store.write((sql) => totals.add(sql, "shim_supervisor_restarts_total", { labels: [reason] }));
    return ok({});
  },
};
