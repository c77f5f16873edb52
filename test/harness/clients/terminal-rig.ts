import { join } from "node:path";
import { onTestFinished } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import type { ModelRequest, ScriptedModel, Script, Step } from "#harness/claude/scripted-model.ts";
import { write } from "#harness/machine/git-project.ts";
import { killEvery } from "#harness/machine/process-tree.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import { aModel, ChatRig } from "./chat-rig.ts";
import { putProgram, runShim } from "./real-clients.ts";
import type { TerminalClient } from "./terminal-clients.ts";
import { Terminal } from "./terminal.ts";

/** A machine on which a person works with one client in terminals, which all talk to one model. */
export class TerminalRig extends ChatRig {
  readonly client: TerminalClient;
  readonly model: ScriptedModel;
  readonly #script: PromptScript;
  #windows = 0;

  private constructor(client: TerminalClient, model: ScriptedModel, script: PromptScript) {
    super(client.shimHome, client.folder);
    this.client = client;
    this.model = model;
    this.#script = script;
  }

  /** A machine on which `shim init` has set SHIM up. @param summary of a compaction, as the model gives it */
  static async open(client: TerminalClient, summary?: Script["summary"]): Promise<TerminalRig> {
    const script = new PromptScript();
    const model = await aModel({
      steps: (request) => script.next(request),
      ...(summary === undefined ? {} : { summary }),
    });
    const rig = new TerminalRig(client, model, script);
    // Some clients keep servers and commands at work after their terminals.
    onTestFinished(() => killEvery(rig.processes()));
    write(rig.home, client.files(rig));
    rig.shim("init", "--client", client.name, "--yes", "--no-link");
    return rig;
  }

  /** A new terminal with the client in it. Resolves when a prompt can be typed. @param args besides those of every start */
  async window(...args: readonly string[]): Promise<Terminal> {
    this.#windows += 1;
    const { start = this.client.command } = this.client;
    const words = [...start(), ...args];
    const place = { socket: join(this.root, `terminal-${this.#windows}`), cwd: this.project, env: this.#env() };
    const terminal = await Terminal.open({ ...place, words });
    onTestFinished(() => terminal.close());
    await terminal.shows(this.client.ready);
    return terminal;
  }

  /** What the model answers to this prompt, request by request; then it says "Done." */
  answers(prompt: string, steps: readonly Step[]): void {
    this.#script.add(prompt, steps);
  }

  /** Types a prompt. @param steps see {@link answers} */
  async ask(terminal: Terminal, prompt: string, steps: readonly Step[] = []): Promise<void> {
    this.answers(prompt, steps);
    await terminal.send(prompt);
  }

  /** Resolves to what the model got with the newest request of the conversation in which this prompt stands. */
  received(prompt: string): Promise<string> {
    const newest = (): ModelRequest | undefined =>
      this.model.requests.findLast((request) => request.kind === "loop" && textOf(request).includes(prompt));
    return untilFound(() => newest(), `a request with "${prompt}"`).then(textOf);
  }

  /** kill -9 of the client, and of the background server where that has its chats. Resolves when the deaths are stored. */
  async killClient(terminal: Terminal): Promise<void> {
    const servers = this.processes().filter(({ command }) => command.includes("app-server"));
    killEvery([terminal, ...servers]);
    await this.gone(terminal.pid);
  }

  /** Closes the window. Resolves when its client has ended, and that is stored. */
  async closeWindow(terminal: Terminal): Promise<void> {
    await terminal.close();
    await this.gone(terminal.pid);
  }

  /** As `shim sessions` shows them, oldest first. */
  chats(): MachineOutput<"sessions.list">["sessions"][number][] {
    const { sessions } = JSON.parse(this.shim("sessions", "--json")) as MachineOutput<"sessions.list">;
    return sessions.toSorted((a, b) => a.startedAt - b.startedAt);
  }

  /** Titles of the chats that are present in the team, by the alphabet. */
  team(): string[] {
    const { chats } = JSON.parse(this.shim("team", "chats", "--json")) as MachineOutput<"team.chats">;
    return chats.map(({ title }) => title ?? "").toSorted((a, b) => a.localeCompare(b));
  }

  shim(...args: readonly string[]): string {
    const { name, version } = this.client;
    const bin = join(this.root, "bin");
    const env = this.#env();
    putProgram(bin, name === "claude-code" ? "claude" : name, { version, words: this.client.command(), env });
    return runShim(args, { cwd: this.project, env: { ...env, PATH: `${bin}:${env["PATH"]}` } });
  }

  #env(): Record<string, string> {
    return this.client.env(this);
  }
}

/** Chooses the steps by the prompt: of those that stand in a request, the one that was added last. */
class PromptScript {
  readonly #prompts: { readonly prompt: string; readonly steps: Step[] }[] = [];

  add(prompt: string, steps: readonly Step[]): void {
    this.#prompts.push({ prompt, steps: [...steps] });
  }

  next(request: ModelRequest): Step {
    const text = textOf(request);
    const asked = this.#prompts.findLast(({ prompt }) => text.includes(prompt));
    return asked?.steps.shift() ?? { text: "Done." };
  }
}

const textOf = ({ messages }: ModelRequest): string => messages.map(({ text }) => text).join("\n");
