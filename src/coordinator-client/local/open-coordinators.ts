import type { LocalCoordinator } from "./local-coordinator.ts";

export interface OpenCoordinator {
  readonly coordinator: LocalCoordinator;
  readonly close: () => void;
  /** How many in this process have it open. */
  uses: number;
}

/** By home. */
export const openCoordinators = new Map<string, OpenCoordinator>();

/** Does what is due, where this process has the coordinator of the home open. */
export function settleLocalCoordinator(home: string): void {
  openCoordinators.get(home)?.coordinator.settle();
}
