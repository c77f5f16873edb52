import { create } from "../../../installer/backups.ts";
import { readText } from "../../../installer/client-files.ts";
import {
  isTrusted,
  readTrust,
  stateText,
  trustHooks,
  trustSource,
  type TrustSource,
} from "../../../installer/hook-trust.ts";
import { lastingLaunch } from "../../../installer/program-copy.ts";
import type { ClientTarget } from "../../../installer/targets.ts";
import type { Result } from "../../../shared/result.ts";
import type { Cli } from "../../cli.ts";
import type { Plan } from "../../../installer/file-edits.ts";

function sourceOf({ io, paths }: Cli, target: ClientTarget): TrustSource | null {
  return trustSource(target, lastingLaunch(io.launch, paths.home), io.machine.env);
}

/** [IN33] The plan whose hooks are not trusted, or will not be when their file has changed. */
export async function untrustedPlan(cli: Cli, plans: readonly Plan[]): Promise<Plan | null> {
  const plan = plans.find(({ target, action }) => target.client === "codex" && action === "install");
  const source = plan && sourceOf(cli, plan.target);
  if (!source) return null;
  if (plan.edits.some(({ path }) => path === plan.target.settingsFile)) return plan;
  const hooks = await readTrust(source);
  return hooks.ok && isTrusted(hooks.value, source) ? null : plan;
}

export interface TrustOutcome {
  readonly isTrusted: boolean;
  readonly text: string;
}

const byHand =
  "To trust them by hand: start `codex`, type /hooks, and trust those of SHIM. Until then they do not run.";

/** [IN33] Asks the user, lets Codex store the trust, and looks whether it has. */
export async function trust(cli: Cli, { target }: Plan, isYes: boolean, backups: string): Promise<TrustOutcome> {
  const source = sourceOf(cli, target);
  if (!source) return { isTrusted: true, text: "" };
  const question = `${target.label} runs hooks only when you trust them. Trust SHIM's ${source.commands.length} hooks?`;
  if ((await cli.confirm(question, isYes)) !== "yes") return { isTrusted: false, text: byHand };
  const before = readText(target.serversFile);
  const hooks = await trustHooks(source);
  keepState(cli, target, before, backups);
  if (hooks.ok && isTrusted(hooks.value, source))
    return { isTrusted: true, text: `${target.label} trusts SHIM's ${hooks.value.length} hooks.` };
  const reason = hooks.ok ? stateText(hooks.value, source) : hooks.error;
  return { isTrusted: false, text: `${target.label} does not trust SHIM's hooks: ${reason}. ${byHand}` };
}

/** [IN34] Codex has changed its file: a removal goes back over this change too. */
function keepState(cli: Cli, target: ClientTarget, before: Result<string | null, unknown>, backups: string): void {
  const after = readText(target.serversFile);
  if (!before.ok || !after.ok || before.value === after.value) return;
  const edit = { path: target.serversFile, before: before.value, after: after.value, summary: [] };
  create(backups, { action: "install", target, edits: [edit], notes: [] }, cli.io.now());
}
