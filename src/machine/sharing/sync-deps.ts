import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { Call } from "../../coordinator-client/edge/calls.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";

export interface SynchronizerOptions {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "setTimer" | "random" | "clock">;
  readonly connect: Connect;
  readonly onPulled: OnPulled;
}

export type Connect = (edge: EdgeConfig, signal: AbortSignal) => Call;

/** Called after each pull, with the workspace and the id of this device. */
export type OnPulled = (runtime: Runtime, workspace: string, device: string) => void;
