import type * as z from "zod";
import { checkOperations } from "./checks.ts";
import { commitGuardOperations } from "./commit-guard.ts";
import { configOperations } from "./config.ts";
import { metricOperations } from "./metrics.ts";
import { fileOperations } from "./files.ts";
import { hostOperations } from "./host.ts";
import { noticeOperations } from "./notices.ts";
import { overviewOperations } from "./overview.ts";
import { pageOperations } from "./page.ts";
import { pauseOperations } from "./pauses.ts";
import { recoveryOperations } from "./recovery.ts";
import { reservationOperations } from "./reservations.ts";
import { experimentOperations } from "./experiments.ts";
import { learningOperations } from "./learning.ts";
import { replayOperations } from "./replay.ts";
import { sessionOperations } from "./sessions.ts";
import { statusLineOperations } from "./status-line.ts";
import { storedSessionOperations } from "./stored-sessions.ts";
import { teamOperations } from "./team.ts";
import { tokenOperations } from "./tokens.ts";
import { updateOperations } from "./updates.ts";
import { usageOperations } from "./usage.ts";
import { workspaceOperations } from "./workspaces.ts";

export const machineOperations = {
  ...checkOperations,
  ...commitGuardOperations,
  ...configOperations,
  ...metricOperations,
  ...fileOperations,
  ...hostOperations,
  ...noticeOperations,
  ...overviewOperations,
  ...pageOperations,
  ...pauseOperations,
  ...recoveryOperations,
  ...reservationOperations,
  ...experimentOperations,
  ...learningOperations,
  ...replayOperations,
  ...sessionOperations,
  ...statusLineOperations,
  ...storedSessionOperations,
  ...teamOperations,
  ...tokenOperations,
  ...updateOperations,
  ...usageOperations,
  ...workspaceOperations,
};

export type MachineOperationName = keyof typeof machineOperations;
type Operations = typeof machineOperations;
export type MachineInput<Name extends MachineOperationName> = z.input<Operations[Name]["input"]>;
export type CheckedMachineInput<Name extends MachineOperationName> = z.output<Operations[Name]["input"]>;
export type MachineOutput<Name extends MachineOperationName> = z.output<Operations[Name]["output"]>;

export const machineOperationNames = Object.keys(machineOperations) as MachineOperationName[];

export function isMachineOperation(name: string): name is MachineOperationName {
  return Object.hasOwn(machineOperations, name);
}
