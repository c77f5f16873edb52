import { checkInput } from "../coordination/check-input.ts";
import { wrongUsage } from "./answer.ts";
import type { Cli, Outcome } from "./cli.ts";
import { withLink, type Coordination } from "./coordination.ts";

/** [CL46] One call to the coordinator; input that no coordinator would take is wrong usage, and is not sent. */
export function withCheckedLink(cli: Cli, body: (link: Coordination) => Promise<Outcome>): Promise<Outcome> {
  return withLink(cli, (link) => body(checking(link)));
}

function checking(link: Coordination): Coordination {
  return {
    ...link,
    call: async (name, input) => {
      const checked = checkInput(name, input);
      return checked.ok ? link.call(name, input) : wrongUsage(checked.error.message);
    },
  };
}
