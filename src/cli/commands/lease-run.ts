import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { err, ok } from "../../shared/result.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
import { exitCodes, wrongUsage } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { withLink, type Coordination } from "../coordination.ts";
import { takeOnEdge } from "../leases/edge-lease.ts";
import { aRunningChat, type KeptLease, type WantedLease } from "../leases/kept-lease.ts";
import { takeHere } from "../leases/local-lease.ts";
import { parseDuration } from "../times.ts";

interface Options extends Common {
  readonly wait?: number;
  readonly ttl?: number;
}

const usualTtlMs = 60_000;
/** Between TERM and KILL. */
const graceMs = 5_000;

export function addLeaseRun(lease: Command, cli: Cli): void {
  const command = lease
    .command("run <resource> <command...>")
    .description("run a command while this lease is held: `shim lease run db -- npm run migrate`")
    .option("--wait <duration>", "how long to stand in line for it (default: not at all)", durationUpTo(0))
    .option(
      "--ttl <duration>",
      "how long it outlives this process when that is killed (default: 60s)",
      durationUpTo(1),
    );
  cli.define(command, (options: Options, resource: string, ...rest: unknown[]) => {
    // `<command...>` comes as one array.
    const [program = "", ...args] = rest.flat() as string[];
    if (program === "")
      return Promise.resolve(wrongUsage("give the command behind --: `shim lease run <resource> -- npm test`."));
    const wanted = { resource, ttlMs: options.ttl ?? usualTtlMs, waitMs: options.wait ?? 0 };
    return withLink(cli, (link) => runHolding(cli, link, wanted, [program, ...args]));
  });
}

/** As the contract has it: up to an hour. */
export function durationUpTo(leastSeconds: number): (text: string) => number {
  return (text) => {
    const ms = /^0s?$/.test(text) ? 0 : parseDuration(text);
    if (ms === null || ms < leastSeconds * 1_000 || ms > 3_600_000) {
      throw new InvalidArgumentError(`It must be a duration from ${leastSeconds}s to 1h, such as 30s or 5m.`);
    }
    return ms;
  };
}

type Words = readonly [program: string, ...args: string[]];

async function runHolding(cli: Cli, link: Coordination, wanted: WantedLease, words: Words): Promise<Outcome> {
  const stop = cli.io.interrupted();
  const chat = aRunningChat(link);
  const taken = await (link.edge
    ? takeOnEdge(link.edge, chat, wanted, stop)
    : takeHere(cli.io, link, chat, wanted, stop));
  if (!taken.ok) return taken;
  try {
    return await runCommand(cli, taken.value, wanted.resource, words, stop);
  } finally {
    await taken.value.giveBack();
  }
}

/** [CL33] Ends with the command; the command ends with the lease. */
async function runCommand(
  cli: Cli,
  { token, lost }: KeptLease,
  resource: string,
  [command, ...args]: Words,
  stop: AbortSignal,
): Promise<Outcome> {
  const env = { ...cli.io.env, SHIM_LEASE_TOKEN: String(token) };
  const group = cli.io.startGroup({ command, args, cwd: cli.io.cwd, env });
  const over = AbortSignal.any([stop, lost]);
  const end = (): void => void group.end(graceMs);
  over.addEventListener("abort", end, { once: true });
  if (over.aborted) end();
  try {
    const exit = await group.ended;
    if (lost.aborted) return lostIt(resource, String(lost.reason));
    return ok({ data: { resource, token, exitCode: exit }, text: "", isOneLine: true, exit });
  } catch (error) {
    return notStarted(command, error);
  } finally {
    over.removeEventListener("abort", end);
  }
}

function lostIt(resource: string, reason: string): Outcome {
  const message = `the lease on ${resource} was lost, and the command was ended: ${reason}.`;
  return err({ exit: exitCodes.leaseLost, code: "lease_lost", message });
}

function notStarted(command: string, error: unknown): Outcome {
  const isMissing = codeOf(error) === "ENOENT";
  const message = isMissing ? `there is no program ${command}.` : `${command} cannot be started: ${messageOf(error)}.`;
  return err({ exit: isMissing ? exitCodes.noSuchProgram : exitCodes.notStartable, code: "not_started", message });
}
