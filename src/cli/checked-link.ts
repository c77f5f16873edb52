import { checkInput } from "../coordination/check-input.ts";
import { wrongUsage } from "./answer.ts";
import type { Cli, Outcome } from "./cli.ts";
import { coordination, type Coordination } from "./coordination.ts";

/** [CL46] One question to whoever decides; what no coordinator would take is wrong usage, and is not asked. */
export async function withCheckedLink(cli: Cli, body: (link: Coordination) => Promise<Outcome>): Promise<Outcome> {
  const link = await coordination(cli);
  if (!link.ok) return link;
  try {
    return await body(checking(link.value));
  } finally {
    link.value.close();
  }
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
