import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { fail } from "#harness/clients/chat-rig.ts";
import { ends, outcomesOf, ways, type Outcome, type Way } from "#harness/clients/ends.ts";
import { terminalClients, throughLauncher } from "#harness/clients/terminal-clients.ts";
import { TerminalRig } from "#harness/clients/terminal-rig.ts";
import type { Terminal } from "#harness/clients/terminal.ts";
import { childrenOf } from "#harness/machine/process-tree.ts";

const prompt = "Build the site, please";

/** The chat in its terminal at the moment in which it is ended. */
interface Moment {
  readonly rig: TerminalRig;
  readonly terminal: Terminal;
}

async function between({ rig, terminal }: Moment): Promise<void> {
  await rig.ask(terminal, prompt, [{ text: "The site is there." }]);
  await terminal.shows("The site is there.");
  await rig.turns((await rig.begun()).id, 1);
}

async function inTurn({ rig, terminal }: Moment): Promise<void> {
  await rig.ask(terminal, prompt, [{ tools: [rig.client.shell("tail -f one.ts")] }]);
  await untilFound(() => isRunning(rig), "the command");
  await rig.last((await rig.begun()).id, "tool_start");
}

function isRunning(rig: TerminalRig): boolean {
  return rig.processes().some(({ command }) => command.join(" ") === "tail -f one.ts");
}

function isGone({ rig, terminal }: Moment): boolean {
  return rig.processes().every(({ pid }) => pid !== terminal.pid);
}

async function atQuestion({ rig, terminal }: Moment): Promise<void> {
  await rig.ask(terminal, prompt, [{ tools: [rig.client.asking("touch deployed.txt")] }]);
  await terminal.shows(rig.client.asks);
  const isAsked = (): boolean => rig.chats()[0]?.state === "waits";
  await untilFound(isAsked, "the question");
}

/** Leaves the client by a key, and by the same once more where it asks for that. */
async function left(moment: Moment, key: string): Promise<void> {
  const { rig, terminal } = moment;
  const asksAgain = async (): Promise<boolean> => /\bagain\b/i.test(await terminal.screen());
  await terminal.press(key);
  await untilFound(async () => isGone(moment) || (await asksAgain()), `what ${key} does in ${rig.client.name}`);
  if (!isGone(moment)) await terminal.press(key);
}

/** The first Ctrl-C stops the turn, asks what to do with it, or leaves: pressed for as long as the client runs. */
async function leftInTurn(moment: Moment): Promise<void> {
  const { rig, terminal } = moment;
  const isLeft = async (): Promise<boolean> => {
    // The terminal closes with its program.
    await terminal.press("C-c").catch(() => undefined);
    return isGone(moment);
  };
  await untilFound(isLeft, `the end of ${rig.client.name}`);
}

type Act = (moment: Moment) => Promise<void>;

const close: Act = ({ terminal }) => terminal.close();
const signal =
  (name: NodeJS.Signals): Act =>
  async ({ terminal }) =>
    void process.kill(terminal.pid, name);

type Found = { readonly pid: number } | null | undefined;

/** kill -9 of another process than the terminal's. Resolves when its death is stored. */
function killed(what: string, find: (moment: Moment) => Found | Promise<Found>): Act {
  return async (moment) => {
    const { pid } = (await find(moment)) ?? fail(`there is no ${what}`);
    process.kill(pid, "SIGKILL");
    await moment.rig.gone(pid);
  };
}

/** How the chat stands, and the act that ends it. */
const byWay: Readonly<Record<Way, readonly [Act, Act]>> = {
  exit: [between, ({ rig, terminal }) => terminal.send(rig.client.exit)],
  ctrlC: [between, (moment) => left(moment, "C-c")],
  ctrlD: [between, (moment) => left(moment, "C-d")],
  ctrlCInTurn: [inTurn, leftInTurn],
  closed: [between, close],
  closedInTurn: [inTurn, close],
  closedAtQuestion: [atQuestion, close],
  term: [between, signal("SIGTERM")],
  termInTurn: [inTurn, signal("SIGTERM")],
  kill: [between, signal("SIGKILL")],
  killInTurn: [inTurn, signal("SIGKILL")],
  killLauncher: [inTurn, killed("launcher", ({ terminal }) => childrenOf(terminal.pid)[0])],
  killChild: [inTurn, killed("process of the chat", async ({ rig }) => (await rig.begun()).owner)],
  killServer: [
    inTurn,
    killed("server", ({ rig }) => rig.processes().find(({ command }) => command.includes("app-server"))),
  ],
};

const launched: ReadonlySet<Way> = new Set(["killLauncher", "killChild"]);
/** The terminal stays. */
const isOpen: ReadonlySet<Way> = new Set([...launched, "killServer"]);

function outcomeOf(rig: TerminalRig): Outcome {
  const [{ state, detail } = { state: "none", detail: null }] = rig.chats();
  if (state === "died") return "died";
  if (state !== "ended") return "lives";
  return detail === "closed with nothing open" ? "closed" : "ended";
}

const cells = terminalClients.flatMap((client) => {
  const column = ends[client.name] ?? fail(`the ends of ${client.name} are not declared`);
  return (Object.keys(ways) as Way[]).flatMap((way) => {
    const outcomes = outcomesOf(column, way);
    return outcomes === null ? [] : [[client.name, ways[way], outcomes.join(" or "), client, way] as const];
  });
});

it.each(cells)("%s, %s: %s @night", async (_client, _way, outcome, client, way) => {
  const rig = await TerminalRig.open(launched.has(way) ? throughLauncher(client) : client);
  const terminal = await rig.window();
  for (const act of byWay[way]) await act({ rig, terminal });
  if (!isOpen.has(way)) await rig.gone(terminal.pid);
  expect(outcome.split(" or ")).toContain(outcomeOf(rig));
});
