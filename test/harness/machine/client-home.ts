import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { apply, type ApplyResult } from "#src/installer/apply.ts";
import * as backups from "#src/installer/backups.ts";
import { readText, type ClientRefusal } from "#src/installer/client-files.ts";
import type { Launch } from "#src/platform/launch.ts";
import { planInstall, type PlanContext, type Plan } from "#src/installer/plan.ts";
import type { ClientTarget } from "#src/installer/targets.ts";
import { planUninstall } from "#src/installer/uninstall.ts";
import type { Result } from "#src/shared/result.ts";

export const T0 = 1_700_000_000_000;

export const launch: Launch = {
  node: "/opt/node/bin/node",
  script: "/src/shim/bin/shim.mjs",
  hookScript: "/src/shim/dist/hook.cjs",
};

/** A user's home with Claude Code and Claude Desktop in a fresh folder. */
export interface ClientHome {
  /** What `claude --version` prints there. */
  claudeVersion: string | null;
  /** Whether `--todo-tools` is given. */
  wantsTodoTools: boolean;
  readonly folder: string;
  readonly code: ClientTarget;
  readonly desktop: ClientTarget;
  readonly servers: string;
  readonly settings: string;
  readonly config: string;
  readonly backups: string;
  /** Bytes as they are, or null. */
  read(path: string): string | null;
  write(path: string, text: string): void;
  planInstall(target: ClientTarget, from?: Launch): Result<Plan, ClientRefusal>;
  planUninstall(target: ClientTarget): Result<Plan, ClientRefusal>;
  apply(plan: Result<Plan, ClientRefusal>): ApplyResult;
  install(target?: ClientTarget, from?: Launch): Plan;
  uninstall(target?: ClientTarget): Plan;
}

/** @param claudeVersion what `claude --version` prints there */
export function aClientHome(claudeVersion: string | null = "2.1.117 (Claude Code)"): ClientHome {
  const folder = mkdtempSync(join(tmpdir(), "shim-client-"));
  const servers = join(folder, ".claude.json");
  const settings = join(folder, ".claude", "settings.json");
  const config = join(folder, "shim", "config.json");
  const kept = join(folder, "shim", "client-backups");
  const code: ClientTarget = {
    client: "claude-code",
    platform: "linux",
    label: "Claude Code",
    serversFile: servers,
    settingsFile: settings,
    pluginsFolder: join(folder, ".claude", "plugins"),
  };
  const desktop: ClientTarget = {
    client: "claude-desktop",
    platform: "linux",
    label: "Claude Desktop",
    serversFile: join(folder, "Claude", "claude_desktop_config.json"),
    settingsFile: null,
    pluginsFolder: null,
  };
  let now = T0;
  const context = (): PlanContext => ({
    shimConfig: config,
    read: readText,
    claudeVersion: home.claudeVersion,
    wantsTodoTools: home.wantsTodoTools,
  });
  const home: ClientHome = {
    folder,
    code,
    desktop,
    servers,
    settings,
    config,
    backups: kept,
    claudeVersion,
    wantsTodoTools: false,
    read(path) {
      try {
        return readFileSync(path, "latin1");
      } catch {
        return null;
      }
    },
    write(path, text) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    },
    planInstall: (target, from = launch) => planInstall(target, from, context()),
    planUninstall: (target) => planUninstall(target, { ...context(), backups: backups.list(kept) }),
    apply: (plan) => valueOf(apply(valueOf(plan), { now: now++, backups: kept })),
    install(target = code, from = launch) {
      const plan = home.planInstall(target, from);
      home.apply(plan);
      return valueOf(plan);
    },
    uninstall(target = code) {
      const plan = home.planUninstall(target);
      home.apply(plan);
      return valueOf(plan);
    },
  };
  return home;
}

export function valueOf<T>(result: Result<T, ClientRefusal>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

export function contents(home: ClientHome): (string | null)[] {
  return [home.servers, home.settings, home.config].map((path) => home.read(path));
}
