import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { apply, listBackups } from "#src/installer/apply.ts";
import { type ClientRefusal, readText, type Plan, type PlanContext } from "#src/installer/file-edits.ts";
import { wantsBlocking } from "#src/installer/inspect.ts";
import { planInstall, planUninstall } from "#src/installer/plan.ts";
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

/**
 * A user's home with Claude Code and Claude Desktop in a fresh folder.
 *
 * @param claudeVersion what `claude --version` prints there
 */
export function aClientHome(claudeVersion: string | null = "2.1.117 (Claude Code)") {
  const folder = temporaryFolder();
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
  };
  const desktop: ClientTarget = {
    client: "claude-desktop",
    platform: "linux",
    label: "Claude Desktop",
    serversFile: join(folder, "Claude", "claude_desktop_config.json"),
    settingsFile: null,
  };
  const codex: ClientTarget = {
    client: "codex",
    platform: "linux",
    label: "Codex",
    serversFile: join(folder, ".codex", "config.toml"),
    settingsFile: join(folder, ".codex", "hooks.json"),
  };
  let now = T0;
  const context = (from: Launch): PlanContext => {
    const { claudeVersion: version } = home;
    const known = { launch: from, backups: listBackups(kept), claudeVersion: version };
    return { wantsBlocking: wantsBlocking(config), read: readText, ...known };
  };
  const home = {
    folder,
    code,
    desktop,
    codex,
    servers,
    settings,
    config,
    backups: kept,
    claudeVersion,
    /** Bytes as they are, or null. */
    read: (path: string): string | null => (existsSync(path) ? readFileSync(path, "latin1") : null),
    write: (path: string, text: string): void => write("/", { [path]: text }),
    planInstall: (target: ClientTarget, from = launch) => planInstall(target, context(from)),
    planUninstall: (target: ClientTarget) => planUninstall(target, context(launch)),
    /** @returns the folder with the files as they were */
    apply: (plan: Result<Plan, ClientRefusal>): string | null => valueOf(apply(valueOf(plan), kept, now++)),
    install(target = code, from = launch): Plan {
      const plan = home.planInstall(target, from);
      home.apply(plan);
      return valueOf(plan);
    },
    uninstall(target = code): Plan {
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
  return [home.servers, home.settings].map((path) => home.read(path));
}
