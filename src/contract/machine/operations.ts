import type * as z from "zod";
import { installationOperations } from "./installation.ts";
import { fileOperations } from "./files.ts";
import { forkOperations } from "./forks.ts";
import { handoverOperations } from "./handover.ts";
import { recoveryOperations } from "./recovery.ts";
import { conversationOperations } from "./conversation.ts";
import { overviewOperations } from "./overview.ts";
import { pageOperations } from "./page.ts";
import { phoneOperations } from "./phones.ts";
import { teamOperations } from "./team.ts";
import { effectOperations } from "./effects.ts";
import { learningOperations } from "./learning.ts";
import { requestOperations } from "./requests.ts";
import { runOperations } from "./runs.ts";
import { sessionOperations } from "./sessions.ts";
import { storesOperations } from "./stores.ts";
import { usageOperations } from "./usage.ts";
import { workspaceOperations } from "./workspaces.ts";

export const machineOperations = {
  ...conversationOperations,
  ...effectOperations,
  ...installationOperations,
  ...fileOperations,
  ...forkOperations,
  ...handoverOperations,
  ...overviewOperations,
  ...pageOperations,
  ...phoneOperations,
  ...recoveryOperations,
  ...learningOperations,
  ...requestOperations,
  ...runOperations,
  ...sessionOperations,
  ...storesOperations,
  ...teamOperations,
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
