import { checkInput } from "../shared/check-input.ts";
import { wrongUsage } from "./answer.ts";
import type { Cli, CommandResult } from "./cli.ts";
import { withLink, type CoordinatorLink } from "./coordinator-link.ts";

/** [CL46] Checks a coordinator call's input first; invalid input is wrong usage, and not sent. */
export function withCheckedLink(
  cli: Cli,
  body: (link: CoordinatorLink) => Promise<CommandResult>,
): Promise<CommandResult> {
  return withLink(cli, (link) => body(withInputCheck(link)));
}

function withInputCheck(link: CoordinatorLink): CoordinatorLink {
  return {
    ...link,
    call: async (name, input) => {
      const checked = checkInput(name, input);
      return checked.ok ? link.call(name, input) : wrongUsage(checked.error.message);
    },
  };
}
