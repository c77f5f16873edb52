import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { given } from "#harness/coordinator/state-calls.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { apply, listBackups } from "#src/installer/apply.ts";
import { type ClientRefusal, readText, type Plan, type PlanContext } from "#src/installer/file-edits.ts";
import { wantsBlocking } from "#src/installer/inspect.ts";
import { planInstall, planUninstall } from "#src/installer/plan.ts";
import { json, type SettingPath, valueAt as valueIn } from "#src/installer/settings.ts";
import type { ClientTarget } from "#src/installer/targets.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import type { Result } from "#src/shared/result.ts";

export const T0 = 1_700_000_000_000;

export const launch: Launch = {
  node: "/opt/node/bin/node",
  script: "/src/shim/bin/shim.mjs",
  hookScript: "/src/shim/dist/hook.cjs",
};

export type ClientHome = ReturnType<typeof aClientHome>;

function target(client: ClientTarget["client"], label: string, serversFile: string, settingsFile: string | null) {
  return { client, platform: "linux", label, serversFile, settingsFile } satisfies ClientTarget;
}

/** A user's home with Claude Code, Claude Desktop and Codex in a fresh folder. @param claudeVersion what `claude --version` prints there */
export function aClientHome(claudeVersion: string | null = "2.1.117 (Claude Code)") {
  const folder = temporaryFolder();
  const at = (path: string): string => join(folder, path);
  const [servers, settings, config] = [at(".claude.json"), at(".claude/settings.json"), at("shim/config.json")];
  const backups = at("shim/client-backups");
  const code = target("claude-code", "Claude Code", servers, settings);
  let now = T0;
  const context = (from: Launch): PlanContext => ({
    wantsBlocking: wantsBlocking(config),
    read: readText,
    launch: from,
    backups: listBackups(backups),
    claudeVersion: home.claudeVersion,
  });
  const carryOut = (plan: Result<Plan, ClientRefusal>): string | null => given(apply(given(plan), backups, now++));
  const home = {
    folder,
    code,
    desktop: target("claude-desktop", "Claude Desktop", at("Claude/claude_desktop_config.json"), null),
    codex: target("codex", "Codex", at(".codex/config.toml"), at(".codex/hooks.json")),
    servers,
    settings,
    config,
    backups,
    claudeVersion,
    read: (path: string): string | null => (existsSync(path) ? readFileSync(path, "latin1") : null),
    write: (path: string, text: string): void => write("/", { [path]: text }),
    planInstall: (client: ClientTarget, from = launch) => planInstall(client, context(from)),
    planUninstall: (client: ClientTarget) => planUninstall(client, context(launch)),
    apply: carryOut,
    install(client: ClientTarget = code, from = launch): Plan {
      const plan = home.planInstall(client, from);
      carryOut(plan);
      return given(plan);
    },
    uninstall(client: ClientTarget = code): Plan {
      const plan = home.planUninstall(client);
      carryOut(plan);
      return given(plan);
    },
  };
  return home;
}

export function contents(home: ClientHome): (string | null)[] {
  return [home.servers, home.settings].map((path) => home.read(path));
}

export function valueAt(text: string, path: SettingPath): unknown {
  return valueIn(json.read(text), path);
}

const comments = fc.constantFrom("", "/* note */", '/* { "a": [1, */', '// to the end, "x": {');

/** Any layout of a JSONC text that a person or a program may leave; comments are taken in turn, "" is none. */
export const layouts = fc.record({
  unit: fc.constantFrom("  ", "    ", "\t", ""),
  eol: fc.constantFrom("\n", "\r\n"),
  isSpread: fc.boolean(),
  hasTrailingCommas: fc.boolean(),
  comments: fc.oneof(fc.constant([""]), fc.array(comments, { minLength: 1, maxLength: 7 })),
  bom: fc.constantFrom("", "\uFEFF"),
  end: fc.constantFrom("", "\n", "\n\n"),
});

type Layout = typeof layouts extends fc.Arbitrary<infer One> ? One : never;

/** The value as text in the given layout; parsing it gives the value again. */
export function layOut(value: unknown, layout: Layout): string {
  const { unit, eol, isSpread, hasTrailingCommas } = layout;
  let turn = 0;
  const comment = (indent: string): string => {
    const text = layout.comments[turn++ % layout.comments.length] ?? "";
    return text.startsWith("//") ? ` ${text}${eol}${indent}` : text && ` ${text}`;
  };
  const print = (part: unknown, indent: string): string => {
    if (typeof part !== "object" || part === null) return JSON.stringify(part);
    const [open, close] = Array.isArray(part) ? "[]" : "{}";
    const deeper = indent + unit;
    const parts = Object.entries(part).map(([key, item]) =>
      Array.isArray(part) ? print(item, deeper) : `${JSON.stringify(key)}:${comment(deeper)} ${print(item, deeper)}`,
    );
    if (parts.length === 0) return `${open}${comment(indent)}${close}`;
    const lines = parts.map((one, at) => {
      const comma = at < parts.length - 1 || hasTrailingCommas ? "," : "";
      return (isSpread ? eol + deeper : "") + comment(indent) + one + comment(indent) + comma + comment(indent);
    });
    return open + lines.join("") + (isSpread ? eol + indent : "") + close;
  };
  return layout.bom + print(value, "") + layout.end.replaceAll("\n", eol);
}

export function commentsIn(text: string): string[] {
  const parts = text.matchAll(/"(?:[^"\\]|\\.)*"|(\/\/[^\r\n]*|\/\*[\s\S]*?\*\/)/g);
  return [...parts].flatMap(([, comment]) => comment ?? []);
}
