import type { TelemetrySettings } from "../contract/config.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import type { ReadText } from "./client-files.ts";
import { keptEntry, type Change, type Part, type SettingsFile } from "./file-edits.ts";
import { json } from "./json-text.ts";
import { objectAt, objectIn, type Settings } from "./settings.ts";
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
export function foreignSettings(root: JsonObject, receiver: TelemetrySettings | null): string[] {
  const env = objectAt(root, ["env"]);
  const expected = receiver !== null && isOurs(root, receiver) ? variablesOf(receiver) : {};
  const names = telemetryNames(env).filter((name) => env[name] !== expected[name]);
  return root["otelHeadersHelper"] === undefined ? names : [...names, "otelHeadersHelper"];
}

/** Names of the variables that configure the client's telemetry. */
function telemetryNames(env: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(env).filter((name) => isTelemetryName(name) && env[name] !== undefined);
}

function isTelemetryName(name: string): boolean {
  return name.startsWith("OTEL_") || name === "CLAUDE_CODE_ENABLE_TELEMETRY";
}

/** Others may have the same values; the token is SHIM's alone. */
function isOurs(root: JsonObject, receiver: TelemetrySettings): boolean {
  const name = "OTEL_EXPORTER_OTLP_LOGS_HEADERS";
  return objectAt(root, ["env"])[name] === variablesOf(receiver)[name];
}

export function isEnabled(root: JsonObject, receiver: TelemetrySettings): boolean {
  const env = objectAt(root, ["env"]);
  return Object.entries(variablesOf(receiver)).every(([name, value]) => env[name] === value);
}

export function enable(root: Settings, receiver: TelemetrySettings): void {
  Object.assign(objectIn(root, "env"), variablesOf(receiver));
}

/** Keeps a variable that was changed since. */
function disable(root: Settings, receiver: TelemetrySettings): void {
  if (!isOurs(root, receiver)) return;
  const env = objectIn(root, "env");
  for (const [name, value] of Object.entries(variablesOf(receiver))) if (env[name] === value) delete env[name];
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
    if (json.findProblem(text) !== null) return [];
    return foreignSettings(json.read(text), null).map((name) => `${name} in ${path}`);
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

/** [OB26] [OB27] Never changes telemetry settings that are not SHIM's. */
export function telemetryPart(
  settings: SettingsFile,
  config: SettingsFile,
  request: TelemetryRequest | undefined,
): Part {
  const receiver = receiverIn(config.root);
  const { next, notes } = request?.isWanted ? planOn(settings, receiver, request) : { next: null, notes: [] };
  const removed: Change = {
    says: "switches Claude Code's telemetry to SHIM off",
    apply: (root) => receiver && disable(root, receiver),
  };
  const added: Change = next
    ? {
        says: `switches Claude Code's telemetry on, to SHIM on port ${next.port} of this machine`,
        apply: (root) => enable(root, next),
      }
    : removed;
  const isChanged = request !== undefined && notes.length === 0;
  const kept = { value: next ?? undefined, says: next ? "receives the telemetry" : "receives no telemetry" };
  const entries = [
    { file: settings, add: isChanged ? added : null, remove: removed },
    keptEntry(config, "telemetry", isChanged ? kept : null, () => receiver !== null),
  ];
  return { entries, notes };
}

interface NextReceiver {
  readonly next: TelemetrySettings | null;
  /** Why it stays as it is; empty: it does not. */
  readonly notes: readonly string[];
}

function planOn(
  { path, root }: SettingsFile,
  receiver: TelemetrySettings | null,
  request: TelemetryRequest,
): NextReceiver {
  const { port, token } = receiver ?? { port: usualPort, token: null };
  const next = { port: request.port ?? port, token: token ?? request.newToken() };
  const isOn = receiver !== null && isEnabled(root, receiver);
  if (isOn && next.port === port) return { next: receiver, notes: [] };
  const inSettings = foreignSettings(root, receiver).map((name) => `${name} in ${path}`);
  // Commands of a chat have SHIM's own variables in their environment.
  const foreign = [...inSettings, ...(isOn ? [] : request.elsewhere)];
  return { next, notes: foreign.length > 0 ? [foreignNote(foreign)] : [] };
}

function foreignNote(foreign: readonly string[]): string {
  return `Claude Code's telemetry is configured already and left unchanged: ${foreign.join(", ")}. A collector can send it to SHIM too: docs/guide/telemetry.md.`;
}

/** Reads SHIM's config.json. @returns null where the telemetry is off or the entry is not sound */
function receiverIn({ telemetry: value }: JsonObject): TelemetrySettings | null {
  if (!isRecord(value)) return null;
  const { port, token } = value;
  const isSound = Number.isInteger(port) && typeof token === "string" && /^[\w-]{32,200}$/.test(token);
  return isSound ? { port: Number(port), token } : null;
}
