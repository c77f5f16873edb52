import type { TelemetrySettings } from "../../contract/config.ts";
import type { Check } from "../../contract/machine/checks.ts";
import { environmentTelemetry, foreignSettings, isEnabled, managedTelemetry } from "../../installer/client-entries.ts";
import { readText } from "../../installer/client-files.ts";
import { json } from "../../installer/settings.ts";
import { type ClientTarget, detect } from "../../installer/targets.ts";
import { readConfig } from "../../platform/config-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { codeOf } from "../../shared/error.ts";
import { age } from "../../shared/format.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import { isDead } from "../recovery/liveness.ts";
import * as sessions from "../sessions/sessions.ts";
import { lastReceivedAt } from "../telemetry/record-events.ts";
import { pass, warn } from "./check.ts";
import type { HostContext } from "./handlers.ts";

const name = "telemetry";
const guide = "docs/guide/telemetry.md";

/** [OB28] Whether Claude Code's telemetry is received, and if not, why. */
export async function telemetryChecks(context: HostContext, runtime: Runtime): Promise<Check[]> {
  const target = detect(context.site.machine).find(({ client }) => client === "claude-code");
  if (!target) return [];
  const config = readConfig(context.paths.config);
  const receiver = config.ok ? config.value.telemetry : null;
  const settings = settingsOf(target);
  const { machine } = context.site;
  const foreign = [...foreignSettings(settings, receiver), ...managedTelemetry(machine, readText)];
  if (!receiver) return [offCheck([...foreign, ...environmentTelemetry(machine.env)])];
  const isSent = isEnabled(settings, receiver) || foreign.length > 0;
  if (!isSent) {
    const fix = "Run `shim init --telemetry` again, or `shim init --no-telemetry`.";
    return [warn(name, `SHIM receives on port ${receiver.port}, but Claude Code's settings no longer send`, fix)];
  }
  return [await arrivalCheck(runtime, receiver, foreign)];
}

function settingsOf({ settingsFile }: ClientTarget): JsonObject {
  const file = readText(settingsFile ?? "");
  const text = file.ok ? (file.value ?? "") : "";
  return json.findProblem(text) === null ? json.read(text) : {};
}

function offCheck(foreign: readonly string[]): Check {
  if (foreign.length === 0)
    return pass(name, "off; `shim init --telemetry` receives exact costs and errors of requests");
  return pass(
    name,
    `off; Claude Code sends its own elsewhere (${foreign.join(", ")}), ${guide} shows how SHIM gets it too`,
  );
}

async function arrivalCheck(runtime: Runtime, { port }: TelemetrySettings, foreign: readonly string[]): Promise<Check> {
  const now = runtime.now();
  const { receivedAt, workedAt } = runtime.store.read((sql) => readArrival(sql, runtime), noArrival);
  if (await isForeign(port)) {
    const fix = "Choose another port, such as `shim init --telemetry 25318`, then start new chats.";
    return warn(name, `another program has port ${port}, so nothing is received`, fix);
  }
  const last = receivedAt === null ? "nothing yet" : `last event ${age(Math.max(0, now - receivedAt))} ago`;
  const text = `on, port ${port}: ${last}`;
  if (workedAt === null || workedAt <= (receivedAt ?? 0) + graceMs) return pass(name, text);
  const elsewhere =
    foreign.length > 0 ? ` These settings may send it elsewhere: ${foreign.join(", ")} (${guide}).` : "";
  return warn(name, `${text}, although a chat works`, `Start new chats: only they send and receive.${elsewhere}`);
}

/** The client sends every second; a process takes a free port within two. */
const graceMs = 60_000;
const answerMs = 1_000;

interface Arrival {
  readonly receivedAt: number | null;
  /** When a living chat of Claude Code has last worked. */
  readonly workedAt: number | null;
}

const noArrival: Arrival = { receivedAt: null, workedAt: null };

function readArrival(sql: Sql, { processes, now }: Runtime): Arrival {
  const living = [...sessions.listOpen(sql)].filter(
    (one) => one.client === "claude-code" && one.workedAt !== null && !isDead(one, processes, now()),
  );
  const workedAt = living.length === 0 ? null : Math.max(...living.map((one) => one.workedAt ?? 0));
  return { receivedAt: lastReceivedAt(sql), workedAt };
}

/** Sends no token: a program of another user may have the port. */
async function isForeign(port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(answerMs);
    const answer = await fetch(`http://127.0.0.1:${port}/v1/logs`, { method: "POST", redirect: "manual", signal });
    return !(await answer.text()).includes('"code":"unauthenticated"');
  } catch (error) {
    return !(error instanceof Error && codeOf(error.cause) === "ECONNREFUSED");
  }
}
