import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { err, ok } from "../../shared/result.ts";
import { exitCodes, wrongUsage } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { withLink, type Coordination } from "../coordination.ts";
import { runUnder, takeRight, type CommandWords } from "../leases/run-under.ts";
import { aLease, type WantedRight } from "../leases/wanted-right.ts";
import { parseDuration } from "../times.ts";

interface Options extends Common {
  readonly wait?: number;
  readonly ttl?: number;
}

const usualTtlMs = 60_000;

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
    const wanted = aLease(resource, { ttlMs: options.ttl ?? usualTtlMs, waitMs: options.wait ?? 0 });
    return withLink(cli, (link) => runHolding(cli, link, wanted, [program, ...args]));
  });
}

/** As the contract has it: up to an hour for leases. */
export function durationUpTo(leastSeconds: number, mostMinutes = 60): (text: string) => number {
  const most = mostMinutes === 60 ? "1h" : `${mostMinutes}m`;
  return (text) => {
    const ms = /^0s?$/.test(text) ? 0 : parseDuration(text);
    if (ms === null || ms < leastSeconds * 1_000 || ms > mostMinutes * 60_000) {
      throw new InvalidArgumentError(`It must be a duration from ${leastSeconds}s to ${most}, such as 30s or 5m.`);
    }
    return ms;
  };
}

async function runHolding(cli: Cli, link: Coordination, wanted: WantedRight, words: CommandWords): Promise<Outcome> {
  const stop = cli.io.interrupted();
  const taken = await takeRight(cli, link, wanted, stop);
  if (!taken.ok) return taken;
  const { resource } = wanted;
  const { token } = taken.value;
  try {
    const ran = await runUnder(cli, taken.value, words, { SHIM_LEASE_TOKEN: String(token) }, stop);
    if (!ran.ok) return ran;
    if (ran.value.end === "lost") return lostIt(resource, ran.value.reason);
    const { exit } = ran.value;
    return ok({ data: { resource, token, exitCode: exit }, text: "", isOneLine: true, exit });
  } finally {
    await taken.value.giveBack();
  }
}

function lostIt(resource: string, reason: string): Outcome {
  const message = `the lease on ${resource} was lost, and the command was ended: ${reason}.`;
  return err({ exit: exitCodes.leaseLost, code: "lease_lost", message });
}
