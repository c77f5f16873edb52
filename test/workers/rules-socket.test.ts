import { describe } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Result } from "#src/shared/result.ts";
import { chatSuites, stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import type { OpenHost } from "#harness/coordinator/engine-host.ts";
import { notRun } from "#harness/coordinator/not-run.ts";
import type { Line } from "./line.ts";
import { manyRequests } from "./many-requests.ts";
import { resultOf, WorkerHost } from "./worker-host.ts";

/** Frames: a chat registers over a connection of its own and acts over it while it is open; all else goes over one of the machine. */
class SocketHost extends WorkerHost {
  readonly #plain = new Map<string, Promise<Line>>();

  static async open(this: void): Promise<SocketHost> {
    return new SocketHost(await WorkerHost.prepare());
  }

  protected async ask(actor: Actor, name: EngineOperation, input: object): Promise<Result<unknown, Refusal>> {
    if (name === "chats.register") return this.register(actor, input as never);
    const chatLine = this.#chatLine(actor, input);
    const answer = (await chatLine?.ask(name, input)) ?? (await (await this.#plainLine(actor)).ask(name, input));
    return resultOf(answer);
  }

  #chatLine(actor: Actor, { self }: { readonly self?: { readonly chat: string } }): Line | undefined {
    const found = self && this.chatLines.get(self.chat);
    return found?.actor.machine === actor.machine && found.actor.isAdmin === actor.isAdmin ? found.line : undefined;
  }

  async #plainLine(actor: Actor): Promise<Line> {
    const name = `${actor.machine} ${actor.isAdmin}`;
    const known = this.#plain.get(name);
    if (known && (await known).isOpen) return known;
    const line = this.plainLine(actor);
    this.#plain.set(name, line);
    return line;
  }
}

notRun({
  ...manyRequests,
  "a chat that registers over a socket has a connection; these are about chats that have none": [
    "the chat and its bound leases live as long as the answer to a heartbeat says",
    "a chat without a connection loses none",
  ],
  "the object itself has closed the old connection when the successor registered over its own": [
    "the late close of an old process's connection does not touch its successor",
  ],
});

const open: OpenHost = Object.assign(SocketHost.open, { mostRuns: 3 });

describe("@night", () => {
  chatSuites(open);
  stateSuites(open);
  taskSuites(open);
  syncSuites(open);
});
