import type { Settings } from "../../contract/workspaces.ts";
import type { Bounded } from "../parameters.ts";

/**
 * Settings of a workspace that the simulation can judge, with the steps that are allowed. Limits,
 * budgets and retention are not among them.
 */
export interface WorkspaceParameter extends Bounded {
  readonly key: keyof Settings;
}

const interval = { maxFactor: 2, isWhole: true } as const;

export const workspaceParameters: readonly WorkspaceParameter[] = [
  { ...interval, key: "balancingIntervalMs", min: 1_000, max: 60_000, risky: "neither" },
  // A longer one finds a dead chat later, and with it the tasks that it held.
  { ...interval, key: "chatTtlMs", min: 15_000, max: 120_000, risky: "up" },
  { ...interval, key: "startDeadlineMs", min: 5_000, max: 120_000, risky: "up" },
];

export function findWorkspaceParameter(key: string): WorkspaceParameter | null {
  return workspaceParameters.find((parameter) => parameter.key === key) ?? null;
}
