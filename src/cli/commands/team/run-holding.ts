import type { Command } from "commander";
import { Id } from "../../../contract/values.ts";
import type { RightRequest } from "../../../local-mcp/host/host.ts";
import { codeOf, messageOf } from "../../../shared/error.ts";
import { err, ok } from "../../../shared/result.ts";
import { exitCodes, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { durationUpTo } from "../../times.ts";

interface Options extends CommonOptions {
  readonly wait?: number;
  readonly ttl: number;
  readonly once?: boolean;
}

type CommandWords = readonly [program: string, ...args: string[]];

/** A command that runs while this process has a right. */
interface HeldRun {
  readonly right: RightRequest;
  readonly words: CommandWords;
  readonly env: (token: number) => Readonly<Record<string, string>>;
  readonly data: (token: number) => object;
  readonly heldText: (token: number) => string | null;
  /** Start of the sentence that says what was lost. */
  readonly lostText: string;
  readonly lostCode: string;
  /** True: it asks for the right again when it is lost. */
  readonly isRepeated: boolean;
}

export function addLockRun(locks: Command, cli: Cli): void {
  const command = locks
    .command("run <resource> <command...>")
    .description("run a command while this lease is held: `shim team locks run db -- npm run migrate`")
    .option("--wait <duration>", "how long to wait for it (default: not at all)", durationUpTo(0))
    .option("--ttl <duration>", "how long the lease outlives this process if it is killed", durationUpTo(1), 60_000);
  cli.define(command, async ({ wait = 0, ttl }: Options, resource: string, ...rest: unknown[]) => {
    const words = wordsOf(rest);
    if (words === null) return wrongUsage("give the command after --: `shim team locks run <resource> -- npm test`.");
    return runHolding(cli, {
      right: { kind: "lock", name: resource, ttlMs: ttl, waitMs: wait },
      words,
      env: (token) => ({ SHIM_LEASE_TOKEN: String(token) }),
      data: (token) => ({ resource, token }),
      heldText: () => null,
      lostText: `the lease on ${resource}`,
      lostCode: "lease_lost",
      isRepeated: false,
    });
  });
}

export function addLeaderRun(leaders: Command, cli: Cli): void {
  const command = leaders
    .command("run <name> <command...>")
    .description("run a command while this process leads an election: `shim team leaders run deploy -- ./deployer`")
    .option("--once", "exit when leadership is lost (default: campaign again)")
    .option("--wait <duration>", "exit when it does not lead by then (default: no limit)", durationUpTo(0))
    .option(
      "--ttl <duration>",
      "how long a term outlives this process when that is killed",
      durationUpTo(1, 10),
      30_000,
    );
  cli.define(command, async ({ wait, ttl, once }: Options, name: string, ...rest: unknown[]) => {
    if (!Id.safeParse(name).success)
      return wrongUsage(`"${name}" is not an election name: letters, digits and . : @ _ -`);
    const words = wordsOf(rest);
    if (words === null)
      return wrongUsage(`give the command after --: \`shim team leaders run ${name} -- ./deployer\`.`);
    return runHolding(cli, {
      right: { kind: "election", name, ttlMs: ttl, waitMs: wait ?? null },
      words,
      env: (term) => ({ SHIM_ELECTION: name, SHIM_TERM: String(term) }),
      data: (term) => ({ name, term }),
      heldText: (term) => `Leads ${name}, term ${term}.`,
      lostText: `leadership of ${name}`,
      lostCode: "leadership_lost",
      isRepeated: once !== true,
    });
  });
}

/** `<command...>` comes as one array. */
function wordsOf(rest: readonly unknown[]): CommandWords | null {
  const [program = "", ...args] = rest.flat() as string[];
  return program === "" ? null : [program, ...args];
}

function runHolding(cli: Cli, run: HeldRun): Promise<CommandResult> {
  return cli.withWorkspace(async (workspace): Promise<CommandResult> => {
    const stop = cli.io.interrupted();
    for (let isFirst = true; ; isFirst = false) {
      // [CL101] After the first time the request is known to be valid, so an outage is retried.
      const held = await workspace.hold({ ...run.right, isPatient: !isFirst }, stop);
      if (!held.ok)
        return held.error.code === "lease_held" ? err({ ...held.error, exit: exitCodes.leaseNotGot }) : held;
      const { token, lost } = held.value;
      const heldText = run.heldText(token);
      if (heldText !== null) cli.progress(heldText);
      try {
        const ran = await runUnder(cli, lost, run.words, run.env(token), stop);
        if (!ran.ok) return ran;
        const exit = ran.value;
        if (!lost.aborted) return ok({ data: { ...run.data(token), exitCode: exit }, text: "", isOneLine: true, exit });
        const lostText = `${run.lostText} was lost, and the command was ended: ${String(lost.reason)}`;
        if (!run.isRepeated) return err({ exit: exitCodes.leaseLost, code: run.lostCode, message: `${lostText}.` });
        cli.progress(`The ${lostText}. Campaigning again.`);
      } finally {
        await held.value.release();
      }
    }
  });
}

const graceMs = 5_000;

/** [CL33] [CL100] Runs until it ends, its right is lost, or it is interrupted. */
async function runUnder(
  { io }: Cli,
  lost: AbortSignal,
  [command, ...args]: CommandWords,
  extraEnv: Readonly<Record<string, string>>,
  stop: AbortSignal,
): Promise<CliResult<number>> {
  const group = io.startGroup({ command, args, cwd: io.cwd, env: { ...io.env, ...extraEnv } });
  const stopOrLost = AbortSignal.any([stop, lost]);
  const end = (): void => void group.end(graceMs);
  stopOrLost.addEventListener("abort", end, { once: true });
  if (stopOrLost.aborted) end();
  try {
    return ok(await group.ended);
  } catch (error) {
    const isMissing = codeOf(error) === "ENOENT";
    const message = isMissing
      ? `there is no program ${command}.`
      : `${command} cannot be started: ${messageOf(error)}.`;
    return err({ exit: isMissing ? exitCodes.noSuchProgram : exitCodes.notStartable, code: "not_started", message });
  } finally {
    stopOrLost.removeEventListener("abort", end);
  }
}
