import type { Result } from "../shared/result.ts";
import { backupsFolder, create } from "./backups.ts";
import { readText, type ClientRefusal } from "./client-files.ts";
import type { Installation } from "./client-states.ts";
import type { Plan } from "./file-edits.ts";
import { isTrusted, readTrust, stateText, trustHooks, trustSource, type TrustSource } from "./hook-trust.ts";
import { lastingLaunch } from "./program-copy.ts";
import type { ClientTarget } from "./targets.ts";

/** A client that does not run SHIM's hooks before its user trusts them. */
export interface UntrustedClient {
  readonly target: ClientTarget;
  readonly source: TrustSource;
}

/** [IN33] Returns null where the hooks are trusted, and their file does not change. */
export async function findUntrusted(
  { site, paths }: Installation,
  plans: readonly Plan[],
): Promise<UntrustedClient | null> {
  const plan = plans.find(({ target, action }) => target.client === "codex" && action === "install");
  const source = plan && trustSource(plan.target, lastingLaunch(site.launch, paths.home), site.machine.env);
  if (!source) return null;
  const { target } = plan;
  if (plan.edits.some(({ path }) => path === target.settingsFile)) return { target, source };
  const hooks = await readTrust(source);
  return hooks.ok && isTrusted(hooks.value, source) ? null : { target, source };
}

/**
 * [IN33] Lets Codex store the trust, and looks whether it has.
 *
 * @returns why not; null: the hooks are trusted
 */
export async function trust(installation: Installation, { target, source }: UntrustedClient): Promise<string | null> {
  const before = readText(target.serversFile);
  const hooks = await trustHooks(source);
  keepState(installation, target, before);
  if (hooks.ok && isTrusted(hooks.value, source)) return null;
  return hooks.ok ? stateText(hooks.value, source) : hooks.error;
}

/** [IN34] Codex has changed its file: a removal goes back over this change too. */
function keepState(
  { site, paths }: Installation,
  target: ClientTarget,
  before: Result<string | null, ClientRefusal>,
): void {
  const path = target.serversFile;
  const after = readText(path);
  if (!before.ok || !after.ok || before.value === after.value) return;
  const edit = { path, before: before.value, after: after.value, summary: [] };
  create(backupsFolder(paths.home), { action: "install", target, edits: [edit], notes: [] }, site.now());
}
