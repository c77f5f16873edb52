import type { Command } from "commander";
import { localTime } from "../../contract/age.ts";
import { type Phone, phoneOperations } from "../../contract/machine/phones.ts";
import type { MachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import { reachOf, type HostReach } from "../../shared/host-reach.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { wrongUsage, type Lines } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { define } from "../operation-command.ts";
import { qrLines } from "../qr-code.ts";

/** Ends it at Ctrl-C. */
const withdrawn = fail("stopped", "nothing was paired, and the link is withdrawn.");

/** Time between two questions whether a phone has opened the link, in ms. */
const askEveryMs = 500;

export function addCommand(program: Command, cli: Cli): void {
  define(cli, program, "pair", {
    input: phoneOperations["phones.offer"].input,
    summary:
      "Pair a phone with this machine: it shows your chats, through the coordinator, or over an address of yours.",
    example: { answer: true, for: 604_800_000 },
    run: (input, { json = false }) => run(cli, input, json),
  });
}

async function run(cli: Cli, asked: MachineInput<"phones.offer">, isJson: boolean): Promise<CommandResult> {
  const { io } = cli;
  if (!io.isInteractive) return wrongUsage("pairing asks whether it is your phone: run `shim pair` in a terminal.");
  const offered = await cli.call("phones.offer", asked);
  if (!offered.ok) return offered;
  const { id, link, until, own } = offered.value;
  cli.progress(`Scan this with the phone's camera, or open there: ${link}`);
  const reach = reachTexts[reachOf(new URL(link).hostname)];
  if (reach !== null) cli.progress(reach);
  if (own?.isReached === false)
    cli.progress(
      `That address does not lead here yet: have your tunnel or proxy pass it on to http://127.0.0.1:${own.port}`,
    );
  cli.progress(`It pairs one phone, until ${localTime(until)}. Ctrl-C withdraws it.`);
  // Last, and with its line break one row less than the usual 24: nothing of it scrolls away.
  const code = qrLines(link);
  io.stderr(`${code.join("\n")}\n`);
  const needed = code.length + 1;
  if (io.size().rows < needed) cli.progress(`The code needs ${needed} rows: enlarge this window, or open the link.`);
  const opened = await awaitPhone(cli, id, until);
  if (!opened.ok) {
    await cli.call("phones.decide", { id, number: null });
    return opened;
  }
  const { name, number, isPaired } = opened.value;
  if (isPaired) cli.progress(`"${name}" is paired with this machine already: this pairing replaces that one.`);
  const reply = await cli.confirm(`"${name}" has opened the link. Does it show ${number}, and is it yours?`, false);
  const decided = await cli.call("phones.decide", { id, number: reply === "yes" ? number : null });
  if (!decided.ok) return decided;
  const { phone } = decided.value;
  if (phone === null) return fail("not_paired", "nothing was paired, and the link is withdrawn.");
  return ok({ data: decided.value, text: isJson ? [] : await pairedLines(cli, phone) });
}

/** Why a phone may not reach an address; null: it does from anywhere. */
const reachTexts: Readonly<Record<HostReach, string | null>> = {
  machine: "That address is this machine's own: a phone cannot open it, only a browser here can.",
  network: "That address is of this network: a phone reaches it in this network alone.",
  anywhere: null,
};

type Opened = NonNullable<MachineOutput<"phones.opened">["phone"]>;

/** @returns the phone that has opened the link; refused at Ctrl-C and when its time is over */
async function awaitPhone(cli: Cli, id: string, until: number): Promise<Result<Opened>> {
  const { io } = cli;
  const stopped = io.interrupted();
  while (io.now() < until) {
    const opened = await cli.call("phones.opened", { id });
    // The network may be away for a moment.
    if (!opened.ok && opened.error.code !== "edge_unreachable") return opened;
    if (opened.ok && opened.value.phone !== null) return ok(opened.value.phone);
    await io.wait(askEveryMs, stopped);
    if (stopped.aborted) return withdrawn;
  }
  return fail("not_paired", "no phone has opened the link in time: run `shim pair` again.");
}

async function pairedLines(cli: Cli, { id, name, scope, endsAt }: Phone): Promise<Lines> {
  const config = scope === "answer" ? await cli.call("config.get", { key: "answers.isEnabled" }) : null;
  const isOff = config?.ok === true && config.value.value === false;
  return [
    `${name} is paired until ${localTime(endsAt)}. \`shim phones remove ${id.slice(0, 8)}\` ends it at once.`,
    scope === "view" && "It sees your chats, and answers nothing: `shim pair --answer` pairs one that may.",
    isOff && "Answers are off on this machine: `shim config set answers.isEnabled true` turns them on.",
  ];
}
