import { type Command, InvalidArgumentError } from "commander";
import { err, ok } from "../../../shared/result.ts";
import { exitCodes, wrongUsage } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { acquireLease, leaseRequest, type LeaseRequest } from "./leases/command-lease.ts";
import { runUnder, type CommandWords } from "./leases/run-under-lease.ts";
import { parseDuration } from "../../times.ts";

interface Options extends CommonOptions {
  readonly wait?: number;
  readonly ttl?: number;
}

const defaultTtlMs = 60_000;

export function addLockRun(locks: Command, cli: Cli): void {
  const command = locks
    .command("run <resource> <command...>")
    .description("run a command while this lease is held: `shim team locks run db -- npm run migrate`")
    .option("--wait <duration>", "how long to wait for it (default: not at all)", durationUpTo(0))
    .option(
      "--ttl <duration>",
      "how long the lease outlives this process if it is killed (default: 60s)",
      durationUpTo(1),
    );
  cli.define(command, (options: Options, resource: string, ...rest: unknown[]) => {
    // `<command...>` comes as one array.
    const [program = "", ...args] = rest.flat() as string[];
    if (program === "")
      return Promise.resolve(wrongUsage("give the command after --: `shim team locks run <resource> -- npm test`."));
    const request = leaseRequest(resource, { ttlMs: options.ttl ?? defaultTtlMs, waitMs: options.wait ?? 0 });
    return cli.withWorkspace((link) => runHolding(cli, link, request, [program, ...args]));
  });
}

/** The contract allows up to an hour for leases. */
export function durationUpTo(minSeconds: number, maxMinutes = 60): (text: string) => number {
  const maxText = maxMinutes === 60 ? "1h" : `${maxMinutes}m`;
  return (text) => {
    const ms = /^0s?$/.test(text) ? 0 : parseDuration(text);
    if (ms === null || ms < minSeconds * 1_000 || ms > maxMinutes * 60_000) {
      throw new InvalidArgumentError(`It must be a duration from ${minSeconds}s to ${maxText}, such as 30s or 5m.`);
    }
    return ms;
  };
}

async function runHolding(
  cli: Cli,
  link: Workspace,
  request: LeaseRequest,
  words: CommandWords,
): Promise<CommandResult> {
  const stop = cli.io.interrupted();
  const held = await acquireLease(link, request, stop);
  if (!held.ok) return held;
  const { resource } = request;
  const { token } = held.value;
  try {
    const ran = await runUnder(cli, held.value, words, { SHIM_LEASE_TOKEN: String(token) }, stop);
    if (!ran.ok) return ran;
    if (ran.value.end === "lost") return lostLeaseFailure(resource, ran.value.reason);
    const { exit } = ran.value;
    return ok({ data: { resource, token, exitCode: exit }, text: "", isOneLine: true, exit });
  } finally {
    await held.value.release();
  }
}

function lostLeaseFailure(resource: string, reason: string): CommandResult {
  const message = `the lease on ${resource} was lost, and the command was ended: ${reason}.`;
  return err({ exit: exitCodes.leaseLost, code: "lease_lost", message });
}
