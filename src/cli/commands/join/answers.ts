import type { MachineInput, MachineOutput } from "../../../contract/machine/operations.ts";
import { err, ok } from "../../../shared/result.ts";
import type { CliResult, CommandError } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { requireYes } from "../../require-yes.ts";

type Asking = "workspace.adopt" | "workspace.create" | "workspace.join";

interface Confirmed {
  readonly yes?: boolean;
}

/** Calls an operation again with a person's answer to each refusal that asks for one. */
export async function callWithAnswers<Name extends Asking>(
  cli: Cli,
  name: Name,
  input: MachineInput<Name>,
  options: Confirmed,
): Promise<CliResult<MachineOutput<Name>>> {
  const asked = new Set<string>();
  for (let given = input; ;) {
    const answer = await cli.call(name, given);
    if (answer.ok || asked.has(answer.error.code)) return answer;
    asked.add(answer.error.code);
    const more = await ask(cli, answer.error, options);
    if (!more.ok) return more;
    given = { ...given, ...more.value };
  }
}

const questions: Readonly<Record<string, { readonly field: string; readonly question: string }>> = {
  token_needed: { field: "token", question: "Token of this machine (shim_): " },
  key_needed: { field: "key", question: "Key of the workspace (shimkey-): " },
  choice_needed: { field: "earlierWork", question: "import or keep? " },
};

async function ask(cli: Cli, error: CommandError, options: Confirmed): Promise<CliResult<object>> {
  const { code, message } = error;
  if (code === "other_workspace") return (await requireYes(cli, message, options)) ?? ok({ replace: true });
  const asking = questions[code];
  if (!asking || !cli.io.isInteractive) return err(error);
  cli.progress(message);
  const text = (await cli.io.ask(asking.question)).trim();
  return text === "" ? err(error) : ok({ [asking.field]: text });
}
