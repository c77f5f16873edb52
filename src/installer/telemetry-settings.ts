import type { TelemetrySettings } from "../contract/config.ts";
import { isRecord } from "../shared/json-fields.ts";
import type { ReadText } from "./client-files.ts";
import * as json from "./json-text.ts";
import { removeIfEmptied } from "./settings-edits.ts";
import { managedSettings, type Machine } from "./targets.ts";

/** Below the ports that systems give to outgoing connections. */
const usualPort = 24_318;

/** Only logs: the client's metrics and traces stay as they are. */
function variablesOf({ port, token }: TelemetrySettings): Readonly<Record<string, string>> {
  return {
    CLAUDE_CODE_ENABLE_TELEMETRY: "1",
    OTEL_LOGS_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `http://127.0.0.1:${port}/v1/logs`,
    OTEL_EXPORTER_OTLP_LOGS_HEADERS: `authorization=Bearer ${token}`,
    OTEL_LOGS_EXPORT_INTERVAL: "1000",
  };
}

/** [OB26] Names of the telemetry settings in a settings file that are not SHIM's. */
export function foreignSettings(text: string, receiver: TelemetrySettings | null): string[] {
  const env = json.valueAt(text, ["env"]);
  const expected = receiver !== null && isOurs(text, receiver) ? variablesOf(receiver) : {};
  const names = telemetryNames(isRecord(env) ? env : {}).filter(
    (name) => !isRecord(env) || env[name] !== expected[name],
  );
  return json.valueAt(text, ["otelHeadersHelper"]) === undefined ? names : [...names, "otelHeadersHelper"];
}

/** Names of the variables that configure the client's telemetry. */
function telemetryNames(env: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(env).filter((name) => isTelemetryName(name) && env[name] !== undefined);
}

function isTelemetryName(name: string): boolean {
  return name.startsWith("OTEL_") || name === "CLAUDE_CODE_ENABLE_TELEMETRY";
}

/** Others may have the same values; the token is SHIM's alone. */
function isOurs(text: string, receiver: TelemetrySettings): boolean {
  const name = "OTEL_EXPORTER_OTLP_LOGS_HEADERS";
  return json.valueAt(text, ["env", name]) === variablesOf(receiver)[name];
}

export function isEnabled(text: string, receiver: TelemetrySettings): boolean {
  return Object.entries(variablesOf(receiver)).every(([name, value]) => json.valueAt(text, ["env", name]) === value);
}

export function enable(text: string, receiver: TelemetrySettings): string {
  return Object.entries(variablesOf(receiver)).reduce(
    (rest, [name, value]) =>
      json.valueAt(rest, ["env", name]) === value ? rest : json.set(rest, ["env", name], value),
    text,
  );
}

/** Keeps a variable that was changed since. @param original the file before SHIM */
export function disable(text: string, receiver: TelemetrySettings, original: string): string {
  if (!isOurs(text, receiver)) return text;
  const rest = Object.entries(variablesOf(receiver)).reduce(
    (rest, [name, value]) => (json.valueAt(rest, ["env", name]) === value ? json.remove(rest, ["env", name]) : rest),
    text,
  );
  return rest === text ? text : removeIfEmptied(rest, ["env"], original);
}

/** [OB26] In words. */
export function environmentTelemetry(env: Machine["env"]): string[] {
  return telemetryNames(env).map((name) => `${name} in the environment`);
}

/** [OB26] Settings of an administrator, in words. */
export function managedTelemetry(machine: Machine, read: ReadText): string[] {
  return managedSettings(machine).flatMap((path) => {
    const file = read(path);
    const text = file.ok ? (file.value ?? "") : "";
    return json.findProblem(text) === null ? foreignSettings(text, null).map((name) => `${name} in ${path}`) : [];
  });
}

export interface TelemetryRequest {
  readonly isWanted: boolean;
  /** Default: the current one, or the usual one. */
  readonly port: number | null;
  readonly newToken: () => string;
  /** Telemetry settings outside of the user's settings file, in words. */
  readonly elsewhere: readonly string[];
}

export interface TelemetryPlan {
  readonly settings: string;
  /** Off is null. */
  readonly receiver: TelemetrySettings | null;
  readonly notes: readonly string[];
}

interface CurrentTexts {
  readonly settings: string;
  readonly settingsFile: string;
  readonly receiver: TelemetrySettings | null;
}

/** [OB26] [OB27] Never changes telemetry settings that are not SHIM's. */
export function planTelemetry(current: CurrentTexts, request: TelemetryRequest | undefined): TelemetryPlan {
  const { settings, receiver } = current;
  if (!request) return { settings, receiver, notes: [] };
  if (request.isWanted) return planOn(current, request);
  return { settings: receiver ? disable(settings, receiver, "") : settings, receiver: null, notes: [] };
}

function planOn({ settings, settingsFile, receiver }: CurrentTexts, request: TelemetryRequest): TelemetryPlan {
  const { port, token } = receiver ?? { port: usualPort, token: null };
  const next = { port: request.port ?? port, token: token ?? request.newToken() };
  const isOn = receiver !== null && isEnabled(settings, receiver);
  if (isOn && next.port === port) return { settings, receiver, notes: [] };
  const inSettings = foreignSettings(settings, receiver).map((name) => `${name} in ${settingsFile}`);
  // Commands of a chat have SHIM's own variables in their environment.
  const foreign = [...inSettings, ...(isOn ? [] : request.elsewhere)];
  if (foreign.length > 0) return { settings, receiver, notes: [foreignNote(foreign)] };
  return { settings: enable(settings, next), receiver: next, notes: [] };
}

function foreignNote(foreign: readonly string[]): string {
  return `Claude Code's telemetry is configured already and left unchanged: ${foreign.join(", ")}. A collector can send it to SHIM too: docs/guide/telemetry.md.`;
}

/** Reads SHIM's config.json. @returns null where the telemetry is off or the entry is not sound */
export function receiverIn(config: string): TelemetrySettings | null {
  const value = json.valueAt(config, ["telemetry"]);
  if (!isRecord(value)) return null;
  const { port, token } = value;
  const isSound = Number.isInteger(port) && typeof token === "string" && /^[\w-]{32,200}$/.test(token);
  return isSound ? { port: Number(port), token } : null;
}
