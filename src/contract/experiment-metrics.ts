import { counter, gauge, type MetricDefinition } from "./metric-definition.ts";
import { trialStates } from "./trials.ts";

const machine = { source: "machine", group: "Experiments" } as const;

export const experimentMetrics = {
  shim_experiments: {
    ...gauge,
    ...machine,
    help: "Experiments with a setting of this machine, by state.",
    labels: { state: trialStates },
  },
  shim_experiment_sessions: {
    ...gauge,
    ...machine,
    help: "Sessions in experiments that are running, by arm.",
    labels: { arm: ["control", "treatment"] },
  },
  shim_experiment_stops_total: {
    ...counter,
    ...machine,
    help: "Experiments that a guardrail stopped, by the phase that they were in.",
    labels: { phase: ["canary", "deployed"] },
  },
  shim_experiment_rollbacks_total: {
    ...counter,
    ...machine,
    help: "Values that experiments had deployed and that were taken back.",
  },
} as const satisfies Record<string, MetricDefinition>;
