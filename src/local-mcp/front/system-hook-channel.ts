import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod/mini";
import { stackOf } from "../../shared/error.ts";
import { initializeResult } from "./handshake.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { openNodeSqlite } from "../../store/driver-node-sqlite.ts";
import { systemRuntime } from "../../runtime/system-runtime.ts";
import { afterEventMethod } from "./control.ts";
import type { Front } from "./front.ts";
import { HookChannel } from "./hook-channel.ts";

/** Wait for a locked store before an event goes to the spool. */
const busyMs = 100;
/** The worker repairs a larger file. */
const maxUpkeepBytes = 200_000_000;

let cachedRuntime: Runtime | null = null;
let cachedChannel: HookChannel | null = null;

/** Returns null to leave the handshake to the worker. */
export function answerInitialize(params: unknown): object | null {
  const runtime = systemFrontRuntime();
  try {
    return initializeResult(runtime, params);
  } catch (error) {
    runtime.log("error", "the handshake is left to the worker", { error: stackOf(error) });
    return null;
  }
}

export function systemHookChannel(front: Front, clientPid: number): HookChannel {
  return (cachedChannel ??= new HookChannel({
    runtime: systemFrontRuntime(),
    pid: process.pid,
    clientPid,
    defer: (work) => front.request(afterEventMethod, work),
    afterAnswer: (work) => void setImmediate(work),
    pause: (ms) => pause(ms),
  }));
}

function systemFrontRuntime(): Runtime {
  if (cachedRuntime) return cachedRuntime;
  z.config({ jitless: true });
  return (cachedRuntime = systemRuntime({ driver: openNodeSqlite, busyMs, maxUpkeepBytes }));
}
