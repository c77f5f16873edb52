import * as fs from "node:fs";
import { join } from "node:path";
import { given } from "#harness/coordinator/peers.ts";
import { T0, temporaryFolder, write } from "./git-project.ts";
import { apply, listBackups } from "#src/installer/apply.ts";
import { type ClientRefusal, readText, type Plan, type PlanContext } from "#src/installer/file-edits.ts";
import { planInstall, planUninstall } from "#src/installer/plan.ts";
import { json, type SettingPath, valueAt } from "#src/installer/settings.ts";
import type { ClientTarget } from "#src/installer/targets.ts";
import type { Launch } from "#src/platform/shim-command.ts";
import type { Result } from "#src/shared/result.ts";

const [script, hookScript] = ["/src/shim/bin/shim.mjs", "/src/shim/dist/hook.cjs"];
export const launch: Launch = { node: "/opt/node/bin/node", script, hookScript };

export type ClientHome = ReturnType<typeof aClientHome>;

function target(client: ClientTarget["client"], label: string, serversFile: string, settingsFile: string | null) {
  return { client, platform: "linux", label, serversFile, settingsFile } satisfies ClientTarget;
}

/** A user's home with Claude Code, Claude Desktop and Codex in a fresh folder. @param claudeVersion what `claude --version` prints there */
export function aClientHome(claudeVersion: string | null = "2.1.197 (Claude Code)") {
  const folder = temporaryFolder();
  const at = (path: string): string => join(folder, path);
  const [servers, settings, config] = [at(".claude.json"), at(".claude/settings.json"), at("shim/config.json")];
  const backups = at("shim/client-backups");
  const code = target("claude-code", "Claude Code", servers, settings);
  let now = T0;
  const context = (from: Launch): PlanContext => {
    return { backups: listBackups(backups), read: readText, launch: from, claudeVersion: home.claudeVersion };
  };
  const carryOut = (plan: Result<Plan, ClientRefusal>): string | null => given(apply(given(plan), backups, now++));
  const carriedOut = (plan: Result<Plan, ClientRefusal>): Plan => {
    carryOut(plan);
    return given(plan);
  };
  const paths = { folder, servers, settings, config, backups };
  const home = {
    ...paths,
    code,
    desktop: target("claude-desktop", "Claude Desktop", at("Claude/claude_desktop_config.json"), null),
    codex: target("codex", "Codex", at(".codex/config.toml"), at(".codex/hooks.json")),
    claudeVersion,
    read: (path: string): string | null => (fs.existsSync(path) ? fs.readFileSync(path, "latin1") : null),
    value: (path: string, ...keys: SettingPath): unknown => valueAt(json.read(home.read(path) ?? ""), keys),
    write: (path: string, text: string): void => write("/", { [path]: text }),
    planInstall: (client: ClientTarget, from = launch) => planInstall(client, context(from)),
    planUninstall: (client: ClientTarget) => planUninstall(client, context(launch)),
    apply: carryOut,
    install: (client: ClientTarget = code, from = launch): Plan => carriedOut(home.planInstall(client, from)),
    uninstall: (client: ClientTarget = code): Plan => carriedOut(home.planUninstall(client)),
  };
  return home;
}

/** Puts a stand-in into the folder that answers as the real Codex does. */
export function putCodexInto(bin: string): void {
  const program = join(import.meta.dirname, "..", "clients", "fake-codex-child.ts");
  fs.mkdirSync(bin, { recursive: true });
  const text = `#!${process.execPath}\nimport(${JSON.stringify(program)});\n`;
  fs.writeFileSync(join(bin, "codex"), text, { mode: 0o755 });
}

export function anInstalledHome(...version: Parameters<typeof aClientHome>): ClientHome {
  const home = aClientHome(...version);
  home.install();
  return home;
}
