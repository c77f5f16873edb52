import { existsSync } from "node:fs";
import type { CommitGuard } from "../../contract/machine/commit-guard.ts";
import { err, ok } from "../../shared/result.ts";
import {
  guardState,
  installGuard,
  removeGuard,
  type GuardState,
  findRepository,
  guardCommand,
  howLost,
  howToDecide,
  isGuard,
  isKeptUndecided,
  isLost,
} from "../team/guard-hook.ts";
import type { Handlers } from "./handlers.ts";

export const commitGuardHandlers: Handlers<"commit-guard.status" | "commit-guard.install" | "commit-guard.remove"> = {
  "commit-guard.status"({ site }, { folder }) {
    const found = findRepository(site, folder);
    if (!found.ok) return found;
    const state = guardState(found.value.hooks, guardCommand(site));
    return ok({ ...view(state), problem: isLost(state) ? howLost(state) : null });
  },
  "commit-guard.install"({ site }, { folder, shared = false }) {
    const found = findRepository(site, folder);
    if (!found.ok) return found;
    const { hooks, isShared } = found.value;
    const command = guardCommand(site);
    if (!existsSync(command.script)) {
      const message = `${command.script} is missing. In a clone run: npm ci && npm run build`;
      return err({ code: "not_built", message });
    }
    if (isShared && !shared) {
      const message = `core.hooksPath names ${hooks}, whose hooks run in other repositories, too. Add --shared to install it there.`;
      return err({ code: "bad_input", message });
    }
    const before = guardState(hooks, command);
    if (before.kind === "installed") return ok({ ...view(before), wasInstalled: true });
    if (isKeptUndecided(before)) {
      const message = `${howToDecide(before)} Then repeat \`shim team files guard install\`.`;
      return err({ code: "file_exists", message });
    }
    installGuard(before, command);
    return ok({ ...view(guardState(hooks, command)), wasInstalled: false });
  },
  "commit-guard.remove"({ site }, { folder }) {
    const found = findRepository(site, folder);
    if (!found.ok) return found;
    const { hooks } = found.value;
    const command = guardCommand(site);
    const before = guardState(hooks, command);
    const wasGuard = isGuard(before);
    const isUndecided = isKeptUndecided(before);
    if (isUndecided || (!wasGuard && !isLost(before))) {
      const advice = isUndecided ? ` ${howToDecide(before)}` : "";
      return err({ code: "not_found", message: `${before.path} is not SHIM's commit guard.${advice}` });
    }
    removeGuard(before);
    const restored = wasGuard && before.kept !== null;
    return ok({ ...view(guardState(hooks, command)), wasGuard, restored });
  },
};

function view(state: GuardState): CommitGuard {
  return { isInstalled: isGuard(state), isStale: state.kind === "stale", path: state.path, kept: state.kept };
}
