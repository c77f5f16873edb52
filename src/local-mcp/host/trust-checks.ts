import type { Check } from "../../contract/machine/checks.ts";
import { isTrusted, readTrust, stateText, trustSource } from "../../installer/hook-trust.ts";
import { clientStates } from "../../installer/inspect.ts";
import { lastingLaunch } from "../../installer/own-program.ts";
import { detect } from "../../installer/targets.ts";
import { fail, pass, warn } from "./check.ts";
import type { HostContext } from "./handlers.ts";

/** [IN35] Whether Codex runs the hooks that stand in its file. */
export async function trustChecks(context: HostContext): Promise<Check[]> {
  const target = detect(context.site.machine).find(({ client }) => client === "codex");
  const launch = lastingLaunch(context.site.launch, context.paths.home);
  const source = target && trustSource(target, launch, context.site.machine.env);
  const isInstalled = clientStates(context).some((state) => state.client === "codex" && state.isInstalled);
  if (!source || !isInstalled) return [];
  const name = "codex:hook_trust";
  const byHand = "or start `codex`, type /hooks, and trust those of SHIM";
  const hooks = await readTrust(source);
  if (!hooks.ok)
    return [
      warn(
        name,
        `Codex could not be asked whether it trusts SHIM's hooks: ${hooks.error}`,
        `Start \`codex\`, type /hooks, and look at those of SHIM.`,
      ),
    ];
  if (isTrusted(hooks.value, source)) return [pass(name, `Codex trusts SHIM's ${hooks.value.length} hooks`)];
  const text = `Codex does not run SHIM's hooks (${stateText(hooks.value, source)}): a hook that is new, changed or moved needs trust`;
  return [fail(name, text, `Run \`shim init\`, ${byHand}.`)];
}
