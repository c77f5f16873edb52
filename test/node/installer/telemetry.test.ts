import { type ClientHome, aClientHome, contents } from "#harness/machine/client-home.ts";
import { type TelemetryRequest, environmentTelemetry, managedTelemetry } from "#src/installer/client-entries.ts";
import { renderPlan } from "#src/installer/render-plan.ts";
import type { Machine } from "#src/installer/targets.ts";
import { parseConfig } from "#src/platform/config-file.ts";
import { type Result, ok } from "#src/shared/result.ts";
import { expect, it } from "vitest";

const token = "a-token-of-the-tests-0123456789-abcdef";

function request(more: Partial<TelemetryRequest> = {}): TelemetryRequest {
  return { isWanted: true, port: null, newToken: () => token, elsewhere: [], ...more };
}

const off = request({ isWanted: false });

function variables(port: number): Record<string, string> {
  return {
    CLAUDE_CODE_ENABLE_TELEMETRY: "1",
    OTEL_LOGS_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `http://127.0.0.1:${port}/v1/logs`,
    OTEL_EXPORTER_OTLP_LOGS_HEADERS: `authorization=Bearer ${token}`,
    OTEL_LOGS_EXPORT_INTERVAL: "1000",
  };
}

function envOf(home: ClientHome): unknown {
  return (JSON.parse(home.read(home.settings) ?? "{}") as { env?: unknown }).env;
}

function receiverOf(home: ClientHome): unknown {
  const config = parseConfig(home.read(home.config) ?? "{}", home.config);
  return config.ok ? config.value.telemetry : config.error;
}

it("[OB26] `init --telemetry` sets the variables beside the user's, and the port and token of the receiver", () => {
  const home = aClientHome();
  home.write(home.settings, '{"env":{"MINE":"1"}}');
  expect(
    home
      .install()
      .edits.map(({ after }) => after)
      .join(),
  ).not.toContain("OTEL");
  home.telemetry = request();
  const shown = renderPlan(home.install());
  expect(shown).toContain("switches Claude Code's telemetry on, to SHIM on port 24318 of this machine");
  expect(shown).not.toContain(token);
  expect(envOf(home)).toEqual({ MINE: "1", ...variables(24_318) });
  expect(receiverOf(home)).toEqual({ port: 24_318, token });
  for (const again of [
    request({ newToken: () => "x".repeat(40), elsewhere: ["OTEL_A in the environment"] }),
    undefined,
  ]) {
    home.telemetry = again;
    expect(home.install()).toMatchObject({ edits: [] });
  }
});

it("[OB26] another port is set in both files, with the same token", () => {
  const home = aClientHome();
  for (const port of [null, 25_000]) {
    home.telemetry = request({ port });
    home.install();
  }
  expect(envOf(home)).toEqual(variables(25_000));
  expect(receiverOf(home)).toEqual({ port: 25_000, token });
});

it.each<[string, object, readonly string[], string]>([
  ["an exporter of the user", { env: { OTEL_EXPORTER_OTLP_ENDPOINT: "https://otel.example.org" } }, [], "ENDPOINT"],
  ["metrics only", { env: { OTEL_METRICS_EXPORTER: "prometheus" } }, [], "OTEL_METRICS_EXPORTER"],
  ["telemetry that is switched off", { env: { CLAUDE_CODE_ENABLE_TELEMETRY: "0" } }, [], "ENABLE_TELEMETRY"],
  ["an empty value", { env: { OTEL_LOGS_EXPORTER: "" } }, [], "OTEL_LOGS_EXPORTER"],
  ["a helper for headers", { otelHeadersHelper: "/bin/headers" }, [], "otelHeadersHelper"],
  ["an environment", {}, ["OTEL_LOGS_EXPORTER in the environment"], "OTEL_LOGS_EXPORTER in the environment"],
])("[OB26] %s is left unchanged, and the plan says so", (_, settings, elsewhere, named) => {
  const home = aClientHome();
  home.write(home.settings, JSON.stringify(settings));
  home.install();
  const before = contents(home);
  home.telemetry = request({ elsewhere });
  const { edits, notes } = home.install();
  expect(edits).toEqual([]);
  expect(notes.join()).toContain("docs/guide/metrics.md#claude-codes-telemetry");
  expect(notes.join()).toContain(named);
  expect(contents(home)).toEqual(before);
});

function list(folder: string): string[] {
  return folder.endsWith(".d") ? ["10-otel.json", "note.txt"] : [];
}

/** The first file of the administrator is broken, the second is sound. */
function readManaged(path: string): Result<string | null, never> {
  return ok(path.includes("10-otel") ? '{"env":{"OTEL_X":"1"}}' : "{");
}

it("[OB26] variables of the environment and an administrator's settings are found on each system", () => {
  const folders = {
    linux: "/etc/claude-code",
    darwin: "/Library/Application Support/ClaudeCode",
    win32: "C:\\Program Files\\ClaudeCode",
  };
  for (const platform of ["linux", "darwin", "win32"] as const) {
    const machine: Machine = { platform, env: {}, homedir: "/", exists: () => true, list };
    const [inFile = "", ...others] = managedTelemetry(machine, readManaged);
    expect(inFile.startsWith(`OTEL_X in ${folders[platform]}`)).toBe(true);
    expect(others).toEqual([]);
  }
  const env = { OTEL_LOGS_EXPORTER: "otlp", OTEL_NONE: undefined, HOME: "/" };
  expect(environmentTelemetry(env)).toEqual(["OTEL_LOGS_EXPORTER in the environment"]);
});

it("[OB27] `init --no-telemetry` and `init --remove` take out what SHIM has set, and nothing else", () => {
  for (const way of ["--no-telemetry", "uninstall"]) {
    const home = aClientHome();
    home.telemetry = request();
    home.install();
    home.write(home.settings, (home.read(home.settings) ?? "").replace('"1000"', '"9000"'));
    home.telemetry = off;
    if (way === "uninstall") home.uninstall();
    else home.install();
    expect(envOf(home), way).toEqual({ OTEL_LOGS_EXPORT_INTERVAL: "9000" });
    expect(receiverOf(home), way).toBeNull();
  }
});

it("[OB27] an exporter of the user stays as it is, also where some of its values are those of SHIM", () => {
  for (const way of ["--no-telemetry", "uninstall"]) {
    const home = aClientHome();
    const mine = { ...variables(24_318), OTEL_EXPORTER_OTLP_LOGS_HEADERS: "authorization=Bearer mine" };
    home.write(home.settings, JSON.stringify({ env: mine }));
    home.write(home.config, JSON.stringify({ telemetry: { port: 24_318, token } }));
    home.install();
    home.telemetry = off;
    if (way === "uninstall") home.uninstall();
    else home.install();
    expect([envOf(home), receiverOf(home)], way).toEqual([mine, null]);
  }
});

it("[OB27] files that nobody changed since are byte for byte as before", () => {
  const home = aClientHome();
  const mine = '{ "env": { "MINE": "1" } } ';
  home.write(home.settings, mine);
  home.telemetry = request();
  home.install();
  home.telemetry = undefined;
  home.uninstall();
  expect([home.read(home.settings), home.read(home.config)]).toEqual([mine, null]);
  home.telemetry = off;
  expect(home.install().notes.join()).not.toContain("telemetry");
});
